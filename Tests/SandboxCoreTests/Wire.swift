import Bytes
import Reactor
import Testing

@testable import SandboxCore

/// A stand-in on a free port, stopped when the test is over.
func withSandbox(_ body: (SandboxServer) throws -> Void) throws {
  let server = try SandboxServer(listen: .tcp(host: "127.0.0.1", port: 0), key: "secret")
  defer { server.stop() }
  try body(server)
}

/// Sends the pieces on one connection, each in a separate write, and returns everything until the stand-in closes.
func exchange(_ server: SandboxServer, _ pieces: [String]) throws -> String {
  let socket = try BlockingSocket(connectingTo: server.address, waitingAtMost: 5)
  for piece in pieces {
    let buffer = ByteBuffer(capacity: 1024)
    buffer.append(text: piece)
    try socket.send(buffer)
  }
  let answer = ByteBuffer(capacity: 64 << 10)
  while try socket.receive(into: answer) > 0 {}
  return answer.withBytes { bytes in String(decoding: copy(bytes, 0..<bytes.count), as: UTF8.self) }
}

/// A request to the stand-in; the last one of a connection closes it.
func request(
  _ line: String, _ fields: [String] = [], key: String? = "secret", body: String = "", closes: Bool = true
) -> String {
  let all =
    ["Host: core"] + (key.map { ["X-Blnk-Key: \($0)"] } ?? []) + fields + (closes ? ["Connection: close"] : [])
    + (body.isEmpty ? [] : ["Content-Length: \(body.utf8.count)"])
  return "\(line) HTTP/1.1\r\n" + all.map { "\($0)\r\n" }.joined() + "\r\n" + body
}

extension String {
  /// How often `part` occurs in the text.
  func count(of part: String) -> Int { ranges(of: part).count }

  var afterEmptyLine: Substring { firstRange(of: "\r\n\r\n").map { self[$0.upperBound...] } ?? "" }
}
