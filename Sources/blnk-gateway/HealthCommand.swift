import FoundationEssentials
import Policies
import Reactor
import System

extension Command {
  static let health = Command(
    name: "health", summary: "ask the running gateway whether it is ready",
    usage: "[--policies DIR | --url URL] [--live]",
    description: """
      Asks /readyz, or with --live /livez, at the admin address of the folder's
      gateway.json (default: 127.0.0.1:9901), and waits at most 2 s. Needs no token.

      For health checks of containers and scripts: prints nothing if the answer is
      yes, otherwise the reason on standard error. A check that must not depend on
      edits of gateway.json names the address with --url.
      """,
    options: [
      .policies,
      Option(
        name: "--url", value: "URL",
        help: "the address instead: http://IP:PORT or unix:/path; a listener needs \"health_on_listen\""),
      Option(name: "--live", value: nil, help: "ask whether it is alive; it stays alive while it drains"),
    ],
    exitCodes: [0: "ready (with --live: alive)", 1: "not ready (with --live: not alive), or no gateway answers"],
    example: """
      blnk-gateway health --policies my-policies
      blnk-gateway health --url http://127.0.0.1:9901 --live
      """
  ) { arguments throws(CommandFault) in
    let end = SystemClock.milliseconds + millisecondsMax
    let address = try arguments.value("--url").map { text throws(CommandFault) in
      guard !arguments.isSet("--policies") else { throw .usage("health: give either --policies or --url; see --help") }
      return try healthAddress(text)
    }
    let target = if let address { address } else { try adminAddress(arguments) }
    let path = arguments.isSet("--live") ? "/livez" : "/readyz"
    if let reason = reasonAgainst(target, path, until: end) { throw .failed("health: \(reason)") }
    return 0
  }

  private static let millisecondsMax: Int64 = 2_000

  private static func healthAddress(_ text: String) throws(CommandFault) -> ListenAddress {
    guard !text.hasPrefix("https://") else {
      throw .usage("health: --url: https:// is not supported; name the gateway itself, which serves http://")
    }
    let name = text.hasPrefix("http://") ? String(text.dropFirst("http://".count)) : text
    let authority = text.hasPrefix("http://") && name.hasSuffix("/") ? String(name.dropLast()) : name
    guard text.hasPrefix("http://") || text.hasPrefix("unix:"), let address = ListenAddress(authority),
      SocketAddress(address) != nil
    else {
      throw .usage(
        "health: --url must be http://IP:PORT or unix:/path, without a path after the port; the IP may be localhost")
    }
    return address
  }

  private static func adminAddress(_ arguments: Arguments) throws(CommandFault) -> ListenAddress {
    var folder = try PolicyFolder(arguments)
    // Probes need no token.
    folder.readsKeys = false
    var isFolder = false
    guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder), isFolder else {
      throw .failed("health: \(folder.path): no such folder; name one with --policies DIR, or the gateway with --url")
    }
    guard let address = AdminSettings(in: folder)?.address else {
      throw .failed("health: \(folder.path)/gateway.json has no valid \"admin\" address; name the gateway with --url")
    }
    guard SocketAddress(address) != nil else {
      throw .failed(
        "health: \(folder.path)/gateway.json: \"admin\" has port 0, so its port is unknown; name the gateway with --url"
      )
    }
    return address
  }

  /// Why the gateway is not healthy, in one line; nil: it is.
  private static func reasonAgainst(_ target: ListenAddress, _ path: String, until end: Int64) -> String? {
    guard let address = SocketAddress(target) else { return "\(target) has no port" }
    let request = "GET \(path) HTTP/1.1\r\nHost: \(target.hostField)\r\nConnection: close\r\n\r\n"
    let response: GatewayResponse
    do throws(Errno) {
      response = try GatewayClient(address, within: .deadline(milliseconds: end)).send(request)
    } catch {
      guard !error.isTimeout else { return "\(target) did not answer within \(millisecondsMax / 1_000) s" }
      guard error != .protocolFault else { return "\(target) sent no valid HTTP response" }
      return "cannot reach the gateway at \(target): \(error)"
    }
    let text = response.bodyText.prefix { $0 != "\n" && $0 != "\r\n" }.prefix(200)
    let isText = text.unicodeScalars.allSatisfy { (0x20..<0x7f).contains($0.value) }
    switch response.status {
    case 200 where text == "ok": return nil
    case 503: return "\(target) answers \(path) with 503\(isText ? ": \(text)" : "")"
    default:
      return "\(target) answers \(path) with status \(response.status), unlike a gateway; is this its admin address?"
    }
  }
}
