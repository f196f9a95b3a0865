import Bytes
import HTTP1
import Policies
import Reactor
import System

/// A response as a client receives it.
struct GatewayResponse {
  let status: Int
  let fields: [(name: String, value: String)]
  let body: [UInt8]

  var bodyText: String { String(decoding: body, as: UTF8.self) }

  func value(of name: String) -> String? {
    fields.first { field in field.name.lowercased() == name.lowercased() }?.value
  }

  /// The string value of the first `"key":` in the body.
  func text(_ key: String) -> String? {
    guard let start = bodyText.firstRange(of: "\"\(key)\":\"")?.upperBound else { return nil }
    return String(bodyText[start...].prefix { $0 != "\"" })
  }
}

/// A blocking client that sends bytes unchanged, including invalid HTTP.
final class GatewayClient {
  private static let responseBytesMax = 16 << 20

  private let address: SocketAddress
  private let output = ByteBuffer(capacity: 16 << 10)
  private let input = ByteBuffer(capacity: 16 << 10)

  private let limit: BlockingSocket.TimeLimit

  init(_ address: SocketAddress, within limit: BlockingSocket.TimeLimit = .eachCall(seconds: 10)) {
    self.address = address
    self.limit = limit
  }

  /// Sends one request on a new connection.
  func send(_ request: String) throws(Errno) -> GatewayResponse {
    let socket = try BlockingSocket(connectingTo: address, within: limit)
    input.removeAll()
    return try send(request, on: socket)
  }

  private func send(_ request: String, on socket: borrowing BlockingSocket) throws(Errno) -> GatewayResponse {
    output.removeAll()
    output.append(text: request)
    try socket.send(output)
    guard let response = try readResponse(socket, isHead: request.hasPrefix("HEAD ")) else { throw .protocolFault }
    return response
  }

  /// Sends the requests one after the other on one connection.
  ///
  /// After a response with `Connection: close`, expects the connection to close and opens a new one for the rest.
  func send(_ requests: [String]) throws(CommandFault) -> [GatewayResponse] {
    do throws(Errno) {
      var responses: [GatewayResponse] = []
      var rest = requests[...]
      while !rest.isEmpty {
        let socket = try BlockingSocket(connectingTo: address, within: limit)
        input.removeAll()
        var isOpen = true
        while isOpen, let request = rest.popFirst() {
          let response = try send(request, on: socket)
          responses.append(response)
          isOpen = response.value(of: "Connection") != "close"
        }
        if !isOpen, try socket.receive(into: input) > 0 { throw .protocolFault }
      }
      return responses
    } catch {
      throw .failed("the gateway sent no valid HTTP/1.1 response: \(error)")
    }
  }

  /// nil: there is no response, or it is invalid.
  private func readResponse(_ socket: borrowing BlockingSocket, isHead: Bool) throws(Errno) -> GatewayResponse? {
    var parser = ResponseHeadParser(limits: HeadLimits())
    while true {
      do throws(ResponseFault) {
        let isWhole = try input.withBytes { bytes throws(ResponseFault) in
          try parser.parse(bytes, answering: isHead ? .head : .get)
        }
        if isWhole { break }
      } catch {
        return nil
      }
      guard try socket.receive(into: input) > 0 else { return nil }
    }
    let fields = parser.head.fields.map { (name: text($0.name), value: text($0.value)) }
    input.remove(0..<parser.head.byteCount)
    guard let body = try readBody(socket, parser.head.framing) else { return nil }
    return GatewayResponse(status: parser.head.status, fields: fields, body: body)
  }

  private func readBody(_ socket: borrowing BlockingSocket, _ framing: BodyFraming) throws(Errno) -> [UInt8]? {
    // To an HTTP/1.1 client, the gateway sends a body of unknown length chunked.
    guard !framing.isUntilClose else { return nil }
    var reader = BodyReader(framing, bytesMax: Self.responseBytesMax)
    var body: [UInt8] = []
    while true {
      var end = 0
      do throws(BodyFault) {
        let isComplete = try input.withBytes { bytes throws(BodyFault) in try reader.read(bytes, &end, into: &body) }
        input.remove(0..<end)
        if isComplete { return body }
      } catch {
        return nil
      }
      guard try socket.receive(into: input) > 0 else { return nil }
    }
  }

  private func text(_ range: Range<Int>) -> String {
    String(decoding: range.map { index in input[index] }, as: UTF8.self)
  }
}

extension Errno {
  /// EPROTO: the response is not valid HTTP/1.1.
  static let protocolFault = Errno(71)
}

extension SocketAddress {
  /// Nil for port 0, where the actual port is unknown.
  init?(_ address: ListenAddress) {
    switch address {
    case .unix(let path): self = .unix(path: path)
    case .ip(_, port: 0): return nil
    case .ip(let ip, let port):
      // A wildcard address includes its family's loopback.
      if ip.isIPv4 {
        self = .ipv4(address: ip.ipv4 == 0 ? 0x7f00_0001 : ip.ipv4, port: port)
      } else {
        self = .ipv6(high: ip.high, low: ip.high == 0 && ip.low == 0 ? 1 : ip.low, port: port)
      }
    }
  }
}

extension ListenAddress {
  /// The value of `Host` in requests to it; a Unix socket has no host, and a gateway accepts any.
  var hostField: String {
    switch self {
    case .ip: description
    case .unix: "localhost"
    }
  }
}
