import Digests
import HTTP1
import Testing

@testable import Policies

let admissionTime = UnixSeconds(1_800_000_000)
let near = PeerAddress.ip(IPAddress(ipv4: 0x0a01_0203))

/// A request line and fields, parsed as the gateway parses them.
struct Request {
  let bytes: [UInt8]

  /// A character below U+0100 becomes one byte.
  init(_ line: String, _ fields: [String], host: String = "gate") {
    let text = ([line + " HTTP/1.1", "Host: \(host)"] + fields).map { $0 + "\r\n" }.joined() + "\r\n"
    bytes = text.unicodeScalars.map { UInt8($0.value) }
  }

  func text(_ range: Range<Int>) -> String {
    String(decoding: bytes[range], as: UTF8.self)
  }

  func admit(by policy: Policy = AdmitTests.policy) throws -> Admission {
    var trace = AdmissionTrace()
    var caches = TokenCaches()
    return try admit(from: near, by: policy, &caches, noting: &trace)
  }

  func rejection(by policy: Policy) -> Rejection? { rejection { try admit(by: policy) } }

  func rejection(from peer: PeerAddress = near) -> Rejection? {
    var trace = AdmissionTrace()
    return rejection(from: peer, noting: &trace)
  }

  func rejection(from peer: PeerAddress = near, noting trace: inout AdmissionTrace) -> Rejection? {
    rejection { try admit(from: peer, noting: &trace) }
  }

  func rejection(from peer: PeerAddress, by policy: Policy, noting trace: inout AdmissionTrace) -> Rejection? {
    var caches = TokenCaches()
    return rejection { try admit(from: peer, by: policy, &caches, noting: &trace) }
  }

  /// With digests that were kept from requests before, and maybe by another policy than then.
  func rejection(_ caches: inout TokenCaches, by policy: Policy = AdmitTests.policy) -> Rejection? {
    var trace = AdmissionTrace()
    return rejection { try admit(from: near, by: policy, &caches, noting: &trace) }
  }

  private func rejection(_ admit: () throws -> Admission) -> Rejection? {
    do {
      _ = try admit()
      return nil
    } catch let rejection as Rejection {
      return rejection
    } catch {
      Issue.record(error)
      return nil
    }
  }

  private func admit(from peer: PeerAddress, noting trace: inout AdmissionTrace) throws -> Admission {
    var caches = TokenCaches()
    return try admit(from: peer, by: AdmitTests.policy, &caches, noting: &trace)
  }

  private func admit(
    from peer: PeerAddress, by policy: Policy, _ caches: inout TokenCaches, noting trace: inout AdmissionTrace
  ) throws -> Admission {
    let parser = try parsed()
    let decision = try policy.admit(
      parser.head, bytes.span, from: Caller(peer), at: admissionTime, &caches, noting: &trace)
    guard case .admitted(let admission) = decision else { throw Undecided() }
    return admission
  }

  func parsed() throws -> RequestHeadParser {
    var parser = RequestHeadParser(limits: HeadLimits())
    guard try parser.parse(bytes.span) else { throw Undecided() }
    return parser
  }

  private struct Undecided: Error {}
}

/// The state of the client `c-reader`.
enum Reader: CaseIterable {
  case inForce, gone, revoked, expired

  fileprivate var entries: [String] {
    let members = #""scopes": ["proxy:read"], "instances": ["inst_a"]"#
    return switch self {
    case .inForce: [entry("reader", members)]
    case .gone: []
    case .revoked: [entry("reader", members + #", "revoked": true"#)]
    case .expired: [entry("reader", members, expires: "2027-01-15T08:00:00Z")]
    }
  }
}

/// Clients named after their tokens: `c-reader` holds the token `reader`.
func admissionPolicy(_ reader: Reader = .inForce) -> Policy {
  let others = [
    entry("writer", #""scopes": ["proxy:write"], "instances": ["inst_a"]"#),
    entry("star", #""scopes": ["*"], "instances": ["*"]"#),
    entry("expired", #""scopes": ["*"], "instances": ["*"]"#, expires: "2027-01-15T08:00:00Z"),
    entry("revoked", #""scopes": ["*"], "instances": ["*"], "revoked": true"#),
    entry("none", #""scopes": [], "instances": ["inst_a"]"#),
    entry("direct", #""scopes": ["*"], "instances": ["inst_a", "inst_off"], "default_instance": "inst_a""#),
    entry("near", #""scopes": ["proxy:read"], "instances": ["inst_a"], "networks": ["10.0.0.0/8", "2001:db8::/32"]"#),
  ]
  let instance = #"{ "url": "http://127.0.0.1:1", "key": {"env": "DEMO_KEY"} }"#
  let off = #"{ "url": "http://127.0.0.1:1", "key": {"env": "DEMO_KEY"}, "writes": false }"#
  let files = FolderFiles([
    "clients.json": "{\"clients\": {\((reader.entries + others).joined(separator: ",\n"))}}",
    "instances.json": "{\"instances\": {\"inst_a\": \(instance), \"inst_b\": \(instance), \"inst_off\": \(off)}}",
  ])
  guard let policy = try? files.load().policy else { preconditionFailure("the policy of the tests is rejected") }
  return policy
}

private func entry(_ token: String, _ members: String, expires: String = "2100-01-01T00:00:00Z") -> String {
  let digest = SHA256.digest(of: Array(token.utf8).span).hex
  return """
    "c-\(token)": { \(members), "tokens": [{"sha256": "\(digest)", "note": "note \(token)", "expires": "\(expires)"}] }
    """
}
