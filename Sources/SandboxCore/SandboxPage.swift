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

  func cut<Element>(_ all: some Sequence<Element>) -> [Element] { Array(all.dropFirst(offset).prefix(limit)) }
}
