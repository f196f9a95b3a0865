import Digests
import FoundationEssentials
import Gateway
import Policies
import Reactor
import System

/// Asks the running gateway whether a file of its policy folder is in force.
struct InForce {
  static let flags = [
    Command.Flag(
      name: "--admin", value: "ADDRESS", about: "where the gateway answers operators (else \"admin\" of gateway.json)"),
    Command.Flag(name: "--no-wait", value: nil, about: "do not ask the running gateway whether the change is in force"),
  ]
  private static let milliseconds: Int64 = 5_000
  private static let pauseMilliseconds = 50

  private let command: String
  private let folder: PolicyFolder
  private let isAsked: Bool
  private let settings: AdminSettings?

  init(_ arguments: Arguments, _ folder: PolicyFolder, for command: String) throws(CommandFault) {
    self.command = command
    self.folder = folder
    isAsked = !arguments.isSet("--no-wait")
    let admin = AdminSettings(in: folder)
    settings = try arguments.address("--admin").map { AdminSettings(address: $0, token: admin?.token) } ?? admin
  }

  /// Waits until the file is in force with these bytes.
  ///
  /// - Parameter file: such as `clients/acme.json`.
  /// - Returns: how it stands, as a sentence; fails with exit code 3 where a gateway runs and does not take the file.
  func wait(for file: String, _ bytes: [UInt8]) throws(CommandFault) -> String {
    guard isAsked else { return "It takes effect at the gateway's next reload." }
    guard let settings, let address = SocketAddress(settings.address) else {
      return "Whether it is in force was not asked: \(folder.path)/gateway.json names no address for that; see --admin."
    }
    let digest = SHA256.digest(of: bytes.span).hex
    let began = MonotonicClock.milliseconds
    var reason = ""
    while true {
      let now = MonotonicClock.milliseconds
      switch ask(address, settings) {
      case .report(let report):
        if report.files[file] == digest { return "In force after \(now - began) ms, generation \(report.generation)." }
        reason = report.reason(against: file)
      case .refusal(let status): throw .notInForce(status)
      case .nothing(let fault):
        guard reason.isEmpty else {
          throw .notInForce("\(command): it is written, and the gateway has ended meanwhile")
        }
        return "No gateway answers at \(settings.address) (\(fault)): it takes effect when one starts or reloads."
      }
      guard now - began < Self.milliseconds else {
        throw .notInForce("\(command): it is written, but not in force after \(Self.milliseconds / 1_000) s: \(reason)")
      }
      sleep(milliseconds: Self.pauseMilliseconds)
    }
  }

  private enum Answer {
    case report(PolicyReport)
    case refusal(String)
    case nothing(Errno)
  }

  private func ask(_ address: SocketAddress, _ settings: AdminSettings) -> Answer {
    let token = settings.token.map { "Authorization: Bearer \(String(decoding: $0.reveal(), as: UTF8.self))\r\n" } ?? ""
    let request = "GET /policy HTTP/1.1\r\nHost: \(settings.address)\r\nConnection: close\r\n\(token)\r\n"
    let response: GatewayResponse
    do throws(Errno) {
      response = try GatewayClient(address, waitingAtMost: 2).ask(request)
    } catch {
      return .nothing(error)
    }
    guard response.status == 200,
      let report = try? JSONDecoder().decode(PolicyReport.self, from: Data(response.body))
    else {
      let about = response.status == 401 ? "it asks for another admin token" : "it is no gateway of this version"
      return .refusal(
        "\(command): it is written, but what answers at \(settings.address) cannot say whether it is in force "
          + "(status \(response.status)): \(about)")
    }
    return .report(report)
  }
}

extension PolicyReport {
  fileprivate func reason(against file: String) -> String {
    if let fault = faults.first(where: { $0.contains(file) }) { return fault }
    if let refusal { return refusal }
    return "the gateway has other bytes of \(file) in force; does it run with this folder, and with \"watch\" on? Else "
      + "send it SIGHUP"
  }
}

extension SocketAddress {
  /// nil for what cannot be connected to: a unix socket, or a port that the system chose.
  fileprivate init?(_ address: ListenAddress) {
    guard case .ip(let ip, let port) = address, port > 0 else { return nil }
    // Who listens on all addresses listens on loopback.
    let isAny = ip.high == 0 && (ip.low == 0 || ip.isIPv4 && ip.ipv4 == 0)
    if ip.isIPv4 || isAny {
      self = .ipv4(address: isAny ? 0x7f00_0001 : ip.ipv4, port: port)
    } else {
      self = .ipv6(high: ip.high, low: ip.low, port: port)
    }
  }
}
