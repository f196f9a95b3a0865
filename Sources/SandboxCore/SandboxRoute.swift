/// The routes of Core that the sandbox implements.
enum SandboxRoute {
  case root
  case health
  case createLedger
  case listLedgers
  case getLedger(String)
  case filterLedgers
  case createIdentity
  case listIdentities
  case filterIdentities
  case getIdentity(String)
  case updateIdentity(String)
  case deleteIdentity(String)
  case tokenizedFields(String)
  case tokenizeField(String, field: String)
  case tokenize(String)
  case detokenizeField(String, field: String)
  case detokenize(String)
  case createBalance
  case listBalances
  case filterBalances
  case getBalance(String)
  case linkIdentity(balance: String)
  case balanceByIndicator(String, currency: String)
  case balanceAt(String)
  case balanceLineage(String)
  case updateMetadata(String)
  case createTransaction
  case getTransaction(String)
  case transactionByReference(String)

  /// Matches method and path together; Core never answers 405.
  init?(method: String, segments: [String], _ dialect: CoreDialect) {
    switch method {
    case "GET": self.init(get: segments)
    case "POST": self.init(post: segments)
    case "PUT": self.init(put: segments, dialect)
    case "DELETE": self.init(delete: segments)
    default: return nil
    }
  }

  /// Whether Core checks its key before it looks for a route.
  static func needsKey(_ segments: [String]) -> Bool {
    guard segments.count == 1 else { return true }
    return !["", "health", "metrics"].contains(segments[0])
  }

  private init?(get path: [String]) {
    switch (path.count, path[0]) {
    case (1, ""): self = .root
    case (1, "health"): self = .health
    case (1, "ledgers"): self = .listLedgers
    case (1, "identities"): self = .listIdentities
    case (1, "balances"): self = .listBalances
    case (2, _) where path[1].isEmpty: return nil
    case (2, "ledgers"): self = .getLedger(path[1])
    case (2, "identities"): self = .getIdentity(path[1])
    case (2, "balances"): self = .getBalance(path[1])
    case (2, "transactions"): self = .getTransaction(path[1])
    case (3, "transactions") where path[1] == "reference" && !path[2].isEmpty:
      self = .transactionByReference(path[2])
    case (3, "identities") where !path[1].isEmpty && path[2] == "tokenized-fields": self = .tokenizedFields(path[1])
    case (4, "identities") where !path[1].isEmpty && path[2] == "detokenize" && !path[3].isEmpty:
      self = .detokenizeField(path[1], field: path[3])
    case (3, "balances") where !path[1].isEmpty: self.init(getOfBalance: path[1], path[2])
    case (5, "balances"): self.init(getByIndicator: path)
    default: return nil
    }
  }

  private init?(getOfBalance id: String, _ what: String) {
    switch what {
    case "at": self = .balanceAt(id)
    case "lineage": self = .balanceLineage(id)
    default: return nil
    }
  }

  private init?(getByIndicator path: [String]) {
    guard path[1] == "indicator", path[3] == "currency", !path[2].isEmpty, !path[4].isEmpty else { return nil }
    self = .balanceByIndicator(path[2], currency: path[4])
  }

  private init?(post path: [String]) {
    switch (path.count, path[0]) {
    case (1, "ledgers"): self = .createLedger
    case (1, "identities"): self = .createIdentity
    case (1, "balances"): self = .createBalance
    case (1, "transactions"): self = .createTransaction
    case (2, _) where path[1] == "metadata" && !path[0].isEmpty: self = .updateMetadata(path[0])
    case (2, "ledgers") where path[1] == "filter": self = .filterLedgers
    case (2, "identities") where path[1] == "filter": self = .filterIdentities
    case (2, "balances") where path[1] == "filter": self = .filterBalances
    case (3, "identities") where !path[1].isEmpty && path[2] == "tokenize": self = .tokenize(path[1])
    case (3, "identities") where !path[1].isEmpty && path[2] == "detokenize": self = .detokenize(path[1])
    case (4, "identities") where !path[1].isEmpty && path[2] == "tokenize" && !path[3].isEmpty:
      self = .tokenizeField(path[1], field: path[3])
    default: return nil
    }
  }

  private init?(put path: [String], _ dialect: CoreDialect) {
    switch (path.count, path[0]) {
    case (2, "identities") where !path[1].isEmpty: self = .updateIdentity(path[1])
    // The documents define an error for a missing id; Core's router never matches such a path.
    case (3, "balances") where path[2] == "identity" && (!path[1].isEmpty || dialect == .documented):
      self = .linkIdentity(balance: path[1])
    default: return nil
    }
  }

  private init?(delete path: [String]) {
    switch (path.count, path[0]) {
    case (2, "identities") where !path[1].isEmpty: self = .deleteIdentity(path[1])
    default: return nil
    }
  }
}
