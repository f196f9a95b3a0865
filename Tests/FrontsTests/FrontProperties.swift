import HTTP1
import Policies

@testable import Fronts

/// Properties that hold for any bytes: the tests check them on vectors and mutations, the fuzzers on what they find.
enum FrontProperties {
  struct Broken: Error {
    let what: String
  }

  enum Outcome: Equatable {
    case header(ProxyHeader)
    case fault(ProxyHeaderFault)
    case needsMore
  }

  /// A header is parsed the same however it is split, as by the reference, and at its last byte.
  static func proxyHeader(_ bytes: [UInt8]) throws {
    let whole = parse(bytes, cuts: [])
    let expected = ReferenceProxyHeader.read(bytes)
    switch whole {
    case .header(let header):
      guard header == expected else { throw Broken(what: "\(header), but the reference has \(expected as Any)") }
      guard parse(Array(bytes[..<(header.byteCount - 1)]), cuts: []) == .needsMore else {
        throw Broken(what: "complete before its last byte")
      }
    case .fault, .needsMore:
      guard expected == nil else { throw Broken(what: "\(whole), but the reference has \(expected as Any)") }
    }
    guard whole != .needsMore || bytes.count < ProxyHeader.bytesMax else { throw Broken(what: "needs too much") }
    for cut in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 64))
    where parse(bytes, cuts: [cut]) != whole { throw Broken(what: "cut at \(cut)") }
    guard parse(bytes, cuts: Array(0...bytes.count)) == whole else { throw Broken(what: "cut everywhere") }
  }

  /// Parses the prefixes of `bytes` that end at `cuts`, then all of them.
  static func parse(_ bytes: [UInt8], cuts: [Int]) -> Outcome {
    var parser = ProxyHeaderParser()
    for end in cuts + [bytes.count] {
      do throws(ProxyHeaderFault) {
        if let header = try parser.parse(bytes.span.extracting(0..<end)) { return .header(header) }
      } catch {
        return .fault(error)
      }
    }
    return .needsMore
  }

  /// The peers and networks with which field lines are read.
  static let peers: [PeerAddress] = [.ip(IPAddress(ipv4: 0x0a00_0001)), .unix]
  static let networks = [["10.0.0.0/8", "fd00::/8", "192.0.2.0/31"], ["0.0.0.0/0"], []].map { texts in
    texts.compactMap { Network($0) }
  }

  /// The field lines of a request are read as by the reference; `bytes` are all but Host. Other requests are ignored.
  static func forwarded(_ bytes: [UInt8]) throws {
    for peer in peers {
      for networks in networks {
        guard let (client, expected) = read(bytes, from: peer, trusting: networks) else { return }
        guard client == expected else { throw Broken(what: "\(client), but the reference has \(expected)") }
      }
    }
  }

  /// What a request with these field lines, each with CRLF, says to `ForwardedClient` and to the reference.
  static func read(
    _ lines: [UInt8], from peer: PeerAddress, trusting networks: [Network]
  ) -> (client: ForwardedClient, expected: ForwardedClient)? {
    let request = Array("GET / HTTP/1.1\r\nHost: h\r\n".utf8) + lines + Array("\r\n".utf8)
    var parser = RequestHeadParser(limits: HeadLimits())
    guard let isComplete = try? parser.parse(request.span), isComplete else { return nil }
    let text = { (range: Range<Int>) in
      String(String.UnicodeScalarView(request[range].map { Unicode.Scalar($0) }))
    }
    let reference = ReferenceForwarded(lines: parser.head.fields.map { (text($0.name), text($0.value)) })
    return (
      ForwardedClient.read(parser.head, request.span, from: peer, trusting: networks),
      reference.read(from: peer, trusting: networks)
    )
  }
}
