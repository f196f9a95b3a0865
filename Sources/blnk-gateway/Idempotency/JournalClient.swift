import FoundationEssentials
import Gateway
import Policies
import Reactor
import System

/// Talks to the running gateway about its journal, through its admin endpoint: the files belong to the gateway alone.
struct JournalClient {
  static let options: [Command.Option] = [
    .policies,
    Command.Option(
      name: "--admin", value: "ADDRESS", help: "the gateway's admin endpoint (default: \"admin\" of gateway.json)"),
  ]

  private let command: String
  private let settings: AdminSettings
  private let address: SocketAddress

  init(_ arguments: Arguments, for command: String) throws(CommandFault) {
    let folder = try PolicyFolder(arguments)
    let admin = AdminSettings(in: folder)
    guard
      let settings = try arguments.address("--admin").map({ AdminSettings(address: $0, token: admin?.token) }) ?? admin,
      let address = SocketAddress(settings.address)
    else {
      throw .failed(
        "\(command): \(folder.path)/gateway.json has no \"admin\" address with a port; name one with --admin")
    }
    self.command = command
    self.settings = settings
    self.address = address
  }

  /// Keys that match.
  ///
  /// - Parameter query: names and values; those without a value are left out.
  func list(_ query: [(String, String?)]) throws(CommandFault) -> JournalKeyList {
    let response = try send("GET", "/idempotency?\(Self.form(query))", body: nil)
    guard response.status == 200 else { throw fault(response) }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    guard let list = try? decoder.decode(JournalKeyList.self, from: Data(response.body)) else {
      throw .failed("\(command): \(settings.address) is not a gateway of this version")
    }
    return list
  }

  /// Changes keys.
  ///
  /// - Returns: what the gateway has done.
  func change(_ form: [(String, String?)]) throws(CommandFault) -> String {
    let response = try send("POST", "/idempotency", body: Self.form(form + [("user", currentUserName)]))
    guard response.status == 200 else { throw fault(response) }
    return Self.line(response)
  }

  private func send(_ method: String, _ target: String, body: String?) throws(CommandFault) -> GatewayResponse {
    let token = settings.token.map { "Authorization: Bearer \(String(decoding: $0.reveal(), as: UTF8.self))\r\n" } ?? ""
    let content =
      body.map { "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: \($0.utf8.count)\r\n\r\n\($0)" }
      ?? "\r\n"
    let request =
      "\(method) \(target) HTTP/1.1\r\nHost: \(settings.address.hostField)\r\nConnection: close\r\n\(token)\(content)"
    do throws(Errno) {
      return try GatewayClient(address).send(request)
    } catch {
      throw .failed("\(command): no gateway answers at \(settings.address): \(error)")
    }
  }

  private func fault(_ response: GatewayResponse) -> CommandFault {
    .failed("\(command): \(settings.address): \(response.status): \(Self.line(response))")
  }

  private static func line(_ response: GatewayResponse) -> String {
    String(response.bodyText.prefix { $0 != "\n" }.prefix(500))
  }

  private static func form(_ members: [(String, String?)]) -> String {
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
