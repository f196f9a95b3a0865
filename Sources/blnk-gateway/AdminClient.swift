import Gateway
import Policies
import Reactor
import System

extension Command.Option {
  static let admin = Command.Option(
    name: "--admin", value: "ADDRESS", help: "the gateway's admin endpoint (default: \"admin\" of gateway.json)")
}

/// Talks to the running gateway through its admin endpoint.
struct AdminClient {
  static let options: [Command.Option] = [
    .policies, .admin,
  ]

  let command: String
  private let settings: AdminSettings
  private let address: SocketAddress

  /// As in the settings.
  var addressText: String { "\(settings.address)" }

  init(_ arguments: Arguments, for command: String) throws(CommandFault) {
    let folder = try PolicyFolder(arguments)
    let admin = AdminSettings(in: folder)
    let settings = try arguments.address("--admin").map({ AdminSettings(address: $0, token: admin?.token) }) ?? admin
    guard let client = settings.flatMap({ AdminClient($0, for: command) }) else {
      throw .failed(
        "\(command): \(folder.path)/gateway.json has no \"admin\" address with a port; name one with --admin")
    }
    self = client
  }

  /// nil: the address has no port.
  init?(_ settings: AdminSettings, for command: String) {
    guard let address = SocketAddress(settings.address) else { return nil }
    (self.command, self.settings, self.address) = (command, settings, address)
  }

  /// - Parameters:
  ///   - body: a form.
  ///   - milliseconds: for everything together; nil: 10 s for each step.
  func send(
    _ method: String, _ target: String, body: String? = nil, within milliseconds: Int64? = nil
  ) throws(CommandFault) -> GatewayResponse {
    do throws(Errno) {
      return try request(method, target, body: body, within: milliseconds)
    } catch {
      throw .failed("\(command): no gateway answers at \(settings.address): \(error)")
    }
  }

  /// The same, with the error of the system.
  func request(
    _ method: String, _ target: String, body: String? = nil, within milliseconds: Int64? = nil
  ) throws(Errno) -> GatewayResponse {
    let token = settings.token.map { "Authorization: Bearer \(String(decoding: $0.reveal(), as: UTF8.self))\r\n" } ?? ""
    let content =
      body.map { "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: \($0.utf8.count)\r\n\r\n\($0)" }
      ?? "\r\n"
    let request =
      "\(method) \(target) HTTP/1.1\r\nHost: \(settings.address.hostField)\r\nConnection: close\r\n\(token)\(content)"
    guard let milliseconds else { return try GatewayClient(address).send(request) }
    let end = SystemClock.milliseconds + milliseconds
    return try GatewayClient(address, within: .deadline(milliseconds: end)).send(request)
  }

  /// The fault of a response that refuses the request.
  func fault(_ response: GatewayResponse) -> CommandFault {
    .failed("\(command): \(settings.address): \(response.status): \(Self.line(response))")
  }

  /// The fault of an answer that is not understood.
  var notThisVersion: CommandFault { .failed("\(command): \(settings.address) is not a gateway of this version") }

  static func line(_ response: GatewayResponse) -> String {
    String(response.bodyText.prefix { $0 != "\n" }.prefix(500))
  }

  /// A form or a query.
  ///
  /// - Parameter members: names and values; those without a value are left out.
  static func form(_ members: [(String, String?)]) -> String {
    members.compactMap { name, value in value.map { "\(name)=\(encoded($0))" } }.joined(separator: "&")
  }

  private static func encoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF")
    return text.utf8.map { byte in
      let isUnreserved =
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        || [UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~")].contains(byte)
      return isUnreserved ? String(UnicodeScalar(byte)) : "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
    }.joined()
  }
}
