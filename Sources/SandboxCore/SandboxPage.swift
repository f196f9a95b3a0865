/// The `limit` and `offset` of a list.
struct SandboxPage {
  let limit: Int
  let offset: Int

  /// - Parameter invalid: how the list begins its complaint.
  init(_ query: SandboxQuery, invalid: String) throws(CoreRefusal) {
    guard let limit = Int(query["limit"] ?? "10"), limit > 0 else {
      throw CoreRefusal(400, "GEN_VALIDATION_ERROR", "\(invalid) limit value")
    }
    guard let offset = Int(query["offset"] ?? "0"), offset >= 0 else {
      throw CoreRefusal(400, "GEN_VALIDATION_ERROR", "\(invalid) offset value")
    }
    self.limit = limit
    self.offset = offset
  }

  /// Takes the defaults for what is no page.
  init(lenient query: SandboxQuery) {
    let limit = query["limit"].flatMap { Int($0) } ?? 0
    self.limit = (1...100).contains(limit) ? limit : 20
    offset = max(query["offset"].flatMap { Int($0) } ?? 0, 0)
  }
}
