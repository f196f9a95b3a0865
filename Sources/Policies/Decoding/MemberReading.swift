/// Each function reads into a variable that holds the default, which stays if the key is absent or invalid.
extension Members {
  func read(_ key: String, into variable: inout Bool) {
    if let value = self[key]?.bool() { variable = value }
  }

  func read(_ key: String, in bounds: ClosedRange<Int>, into variable: inout Int) {
    if let value = self[key]?.integer(in: bounds) { variable = value }
  }

  /// Reads seconds as whole milliseconds.
  func read(_ key: String, inSeconds bounds: ClosedRange<Double>, into milliseconds: inout Int) {
    if let value = self[key]?.milliseconds(inSeconds: bounds) { milliseconds = value }
  }
}

/// The key that tells editors where a file's schema is; the gateway ignores its value.
let schemaKey = "$schema"

extension Members {
  func readSchema() {
    _ = self[schemaKey]?.string()
  }
}

extension Field {
  func listenAddress() -> ListenAddress? {
    guard let text = string() else { return nil }
    guard let address = ListenAddress(text) else { return fail(ListenAddress.fault(of: text)) }
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
      return fail(Network.fault(of: text))
    }
    return network
  }
}
