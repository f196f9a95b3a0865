/// Request bodies from Blnk's documents.
enum DocumentedBody {
  /// With the ledger that every Core has, because the default routes do not include creating one.
  static let balance = """
    {
        "ledger_id": "general_ledger_id",
        "currency": "USD"
      }
    """

  /// The documents have "dob": "1990-01-01", which Core v0.15.2 rejects: it requires RFC 3339.
  static let identity = """
    {
        "first_name": "John",
        "last_name": "Doe",
        "email_address": "john.doe@example.com",
        "phone_number": "+1234567890",
        "nationality": "US",
        "gender": "male",
        "dob": "1990-01-01T00:00:00Z",
        "street": "123 Main St",
        "city": "New York",
        "state": "NY",
        "post_code": "10001",
        "country": "US",
        "category": "individual",
        "identity_type": "customer",
        "meta_data": {
          "myApp": {
            "segment": "premium",
            "kyc_status": "verified"
          }
        }
      }
    """

  static let splitPayment = """
    {
    "amount": 19050.34,
    "currency": "USD",
    "precision": 100,
    "reference": "ref_2ye281ewiu-1e17-dh17-eh18728hd245",
    "source": "bln_f344b673-e855-4bda-b769-3e94a02c1941",
    "destinations": [
    {
    "identifier": "bln_f2073f6b-905a-4e3e-b5a2-8d1b3dc2fb7f",
    "distribution": "10%"
    },
    {
    "identifier": "bln_64c50fb5-32d5-4f78-9f4a-e8b01aaf025d",
    "distribution": "5000"
    },
    {
    "identifier": "bln_7d98dfe9-5c3e-4c9b-b96a-65f6d9f7b89b",
    "distribution": "left"
    }
    ],
    "meta_data": {}
    }
    """
}
