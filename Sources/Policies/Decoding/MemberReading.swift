/// Reading into a place that already holds the default: it stays when the key is absent or an error is noted.
extension Members {
  func read(_ key: String, into place: inout Bool) {
    if let value = self[key]?.bool() { place = value }
  }

  func read(_ key: String, in bounds: ClosedRange<Int>, into place: inout Int) {
    if let value = self[key]?.integer(in: bounds) { place = value }
  }

  /// `place` is in milliseconds.
  func read(_ key: String, inSeconds bounds: ClosedRange<Double>, into place: inout Int) {
    if let value = self[key]?.milliseconds(inSeconds: bounds) { place = value }
  }
}

/// Where editors find the schema of a file, which is theirs alone.
let schemaKey = "$schema"

extension Members {
  func readSchema() {
    _ = self[schemaKey]?.string()
  }
}

extension Field {
  func listenAddress() -> ListenAddress? {
    guard let text = string() else { return nil }
    guard let address = ListenAddress(text) else { return refused(ListenAddress.fault(of: text)) }
    return address
  }

  func networks() -> [Network]? {
    guard let fields = elements() else { return nil }
    let networks = fields.compactMap { field in field.network() }
    return networks.count == fields.count ? networks : nil
  }

  private func network() -> Network? {
    guard let text = string() else { return nil }
    guard let network = Network(text) else {
      return refused(Network.fault(of: text))
    }
    return network
  }
}
