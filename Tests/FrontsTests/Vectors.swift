import Foundation
import HTTP1
import Policies
import Testing

@testable import Fronts

/// A header, with the bytes after it, and what it means.
struct ProxyHeaderVector: CustomTestStringConvertible {
  let testDescription: String
  let bytes: [UInt8]
  let outcome: FrontProperties.Outcome

  static func all() throws -> [ProxyHeaderVector] { try fixture("proxy-headers").map(ProxyHeaderVector.init) }

  private init(_ object: [String: Any]) throws {
    testDescription = try #require(object["why"] as? String)
    if let hex = object["hex"] as? String {
      let digits = Array(hex.utf8)
      bytes = try stride(from: 0, to: digits.count, by: 2).map { index in
        try #require(UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16))
      }
    } else {
      bytes = Array(try #require(object["text"] as? String).utf8)
    }
    if let name = object["fault"] as? String {
      outcome = .fault(try #require(ProxyHeaderFault.allCases.first { "\($0)" == name }))
      return
    }
    outcome = .header(
      ProxyHeader(
        byteCount: try #require(object["bytes"] as? Int),
        client: try Self.client(try #require(object["client"] as? String)), isTLS: try #require(object["tls"] as? Bool))
    )
  }

  private static func client(_ text: String) throws -> ProxyHeader.Client {
    switch text {
    case "unix": return .unix
    case "connection": return .connection
    default:
      let colon = try #require(text.lastIndex(of: ":"))
      let address = text[..<colon].filter { !"[]".contains($0) }
      return .address(
        try #require(IPAddress(address)), port: try #require(UInt16(text[text.index(after: colon)...])))
    }
  }

  /// The bytes of the header, if it is valid.
  var header: [UInt8]? {
    guard case .header(let header) = outcome else { return nil }
    return Array(bytes[..<header.byteCount])
  }
}

/// Field lines of a request, and what they mean.
struct ForwardedVector: CustomTestStringConvertible {
  let testDescription: String
  let peer: PeerAddress
  let networks: [Network]
  let lines: [UInt8]
  let client: ForwardedClient

  static func all() throws -> [ForwardedVector] { try fixture("forwarded").map(ForwardedVector.init) }

  private init(_ object: [String: Any]) throws {
    testDescription = try #require(object["why"] as? String)
    peer = try Self.address(object["peer"])
    networks = try #require(object["trusted"] as? [String]).map { try #require(Network($0)) }
    let addresses = try #require(object["addresses"] as? [String]).map { "X-Forwarded-For: \($0)\r\n" }
    let protocols = try #require(object["protocols"] as? [String]).map { "x-forwarded-proto: \($0)\r\n" }
    lines = (protocols + addresses).joined().unicodeScalars.map { UInt8($0.value) }
    client = ForwardedClient(client: try Self.address(object["client"]), isTLS: try #require(object["tls"] as? Bool))
  }

  private static func address(_ text: Any?) throws -> PeerAddress {
    switch try #require(text as? String) {
    case "unix": .unix
    case "unknown": .unknown
    case let text: .ip(try #require(IPAddress(text)))
    }
  }
}

private func fixture(_ name: String) throws -> [[String: Any]] {
  let url = try #require(Bundle.module.url(forResource: "Fixtures/\(name)", withExtension: "jsonl"))
  return try String(contentsOf: url, encoding: .utf8).split(separator: "\n").map { line in
    try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
  }
}
