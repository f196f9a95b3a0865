import Digests
import FoundationEssentials
import Gateway
import Policies
import Reactor
import System

/// Asks the running gateway, through its admin endpoint, whether a policy file is in force.
struct InForceCheck {
  static let options = [
    .admin,
    Command.Option(name: "--no-wait", value: nil, help: "do not wait until the change is in force"),
  ]
  static let exitCodes: KeyValuePairs<Int32, String> = [
    0: "success", 1: "nothing was written",
    3: "the change is written, but the running gateway has not applied it",
  ]
  private static let timeoutMilliseconds: Int64 = 5_000
  private static let pollMilliseconds = 50

  private let command: String
  private let folder: PolicyFolder
  private let isEnabled: Bool
  let settings: AdminSettings?

  init(_ arguments: Arguments, _ folder: PolicyFolder, for command: String) throws(CommandFault) {
    self.command = command
    self.folder = folder
    isEnabled = !arguments.isSet("--no-wait")
    let admin = AdminSettings(in: folder)
    settings = try arguments.address("--admin").map { AdminSettings(address: $0, token: admin?.token) } ?? admin
  }

  /// Waits until the file is in force with this content. Fails if a gateway runs but does not put it in force within
  /// `timeoutMilliseconds`.
  ///
  /// - Parameters:
  ///   - file: relative to the folder, such as `clients/acme.json`.
  ///   - keyPath: of an entry in it that must have no fault; nil: none.
  /// - Returns: a sentence for the user about the result.
  func wait(for file: String, _ bytes: [UInt8], keyPath: String? = nil) throws(CommandFault) -> String {
    guard isEnabled else { return "The change takes effect at the gateway's next reload." }
    guard let settings, let address = SocketAddress(settings.address) else {
      return
        "Cannot tell whether the change is in force: \(folder.path)/gateway.json has no admin address; see --admin."
    }
    let digest = SHA256.digest(of: bytes.span).hex
    let start = SystemClock.milliseconds
    var reason = ""
    while true {
      let now = SystemClock.milliseconds
      switch poll(address, settings) {
      case .report(let report):
        if report.files[file] == digest {
          // A faulty instance does not keep its file from being in force.
          if let fault = keyPath.flatMap(report.fault) {
            throw .notInForce("\(command): the change is written, but the gateway reports a fault: \(fault)")
          }
          return "In force after \(now - start) ms, generation \(report.generation)."
        }
        if let changed = digestOnDisk(of: file), report.files[file] == changed {
          return "In force after \(now - start) ms, generation \(report.generation), with a later change of \(file)."
        }
        reason = report.reason(against: file)
      case .rejected(let message): throw .notInForce(message)
      case .unreachable(let fault):
        guard reason.isEmpty else {
          throw .notInForce("\(command): the change is written, but the gateway stopped before it was in force")
        }
        return
          "No gateway answers at \(settings.address) (\(fault)). The change takes effect when one starts or reloads."
      }
      guard now - start < Self.timeoutMilliseconds else {
        let seconds = Self.timeoutMilliseconds / 1_000
        throw .notInForce("\(command): the change is written, but not in force after \(seconds) s: \(reason)")
      }
      sleep(milliseconds: Self.pollMilliseconds)
    }
  }

  /// Of the file as it is now: another command may have changed it since, on top of this change.
  private func digestOnDisk(of file: String) -> String? {
    FileManager.default.contents(atPath: "\(folder.path)/\(file)").map { SHA256.digest(of: Array($0).span).hex }
  }

  private enum Answer {
    case report(PolicyReport)
    case rejected(String)
    case unreachable(Errno)
  }

  private func poll(_ address: SocketAddress, _ settings: AdminSettings) -> Answer {
    let token = settings.token.map { "Authorization: Bearer \(String(decoding: $0.reveal(), as: UTF8.self))\r\n" } ?? ""
    let request = "GET /policy HTTP/1.1\r\nHost: \(settings.address.hostField)\r\nConnection: close\r\n\(token)\r\n"
    let response: GatewayResponse
    do throws(Errno) {
      response = try GatewayClient(address, within: .eachCall(seconds: 2)).send(request)
    } catch {
      return .unreachable(error)
    }
    guard response.status == 200,
      let report = try? JSONDecoder().decode(PolicyReport.self, from: Data(response.body))
    else {
      let reason = response.status == 401 ? "it requires another admin token" : "it is not a gateway of this version"
      return .rejected(
        "\(command): the change is written, but \(settings.address) does not report whether it is in force "
          + "(status \(response.status)): \(reason)")
    }
    return .report(report)
  }
}

extension PolicyReport {
  /// The fault of an entry or of a key in it.
  fileprivate func fault(of keyPath: String) -> String? {
    faults.first { fault in fault.contains(": \(keyPath).") || fault.contains(": \(keyPath):") }
  }

  fileprivate func reason(against file: String) -> String {
    if let fault = faults.first(where: { $0.contains(file) }) { return fault }
    if let refusal { return refusal }
    return
      "the gateway has another version of \(file) in force; make sure that it uses this folder, and send it SIGHUP if "
      + "\"watch\" is false"
  }
}
