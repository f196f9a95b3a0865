import Foundation
import Synchronization

/// A Core that answers by a script of the test, counts its connections and keeps the requests.
package final class ScriptedUpstream: Sendable {
  package struct Request: Sendable {
    package let message: TestMessage
    /// Which connection it came on, from 0.
    package let connection: Int
    /// Which request of its connection it is, from 0.
    package let number: Int
  }

  package enum Answer: Sendable {
    case bytes([UInt8])
    /// Bytes, and then the end of the connection.
    case last([UInt8])
    /// Bytes, and then a reset.
    case reset([UInt8])
    /// Bytes, and then nothing more until the test ends.
    case stall([UInt8])
  }

  private struct Seen: Sendable {
    var requests: [Request] = []
    var connectionCount = 0
  }

  private let upstream: RawUpstream
  private let seen: SharedSeen

  /// Shared by the connections' threads.
  private final class SharedSeen: Sendable {
    let value = Mutex(Seen())
  }

  /// - Parameter script: called for each complete request, on its connection's thread.
  package init(
    at address: LoopbackAddress = .usual, port: UInt16 = 0, _ script: @escaping @Sendable (Request) -> Answer
  ) throws {
    let seen = SharedSeen()
    self.seen = seen
    upstream = try RawUpstream(at: address, port: port) { socket, connection in
      seen.value.withLock { $0.connectionCount += 1 }
      var reader = TestMessageReader(socket)
      var number = 0
      while let message = try? reader.next() {
        let request = Request(message: message, connection: connection, number: number)
        seen.value.withLock { $0.requests.append(request) }
        number += 1
        guard Self.play(script(request), on: socket) else { return }
      }
    }
  }

  package convenience init(answer: String) throws {
    try self.init { _ in .bytes(Array(answer.utf8)) }
  }

  /// Sends an answer; returns false if the connection has to end.
  private static func play(_ answer: Answer, on socket: TestSocket) -> Bool {
    switch answer {
    case .bytes(let bytes):
      try? socket.send(bytes)
      return true
    case .last(let bytes):
      try? socket.send(bytes)
      socket.end()
      return false
    case .reset(let bytes):
      try? socket.send(bytes)
      socket.resetOnClose()
      return false
    case .stall(let bytes):
      try? socket.send(bytes)
      // Returns when the peer or the test ends the connection.
      _ = try? socket.receive()
      return false
    }
  }

  package var port: UInt16 { upstream.port }
  package var requests: [Request] { seen.value.withLock { $0.requests } }
  package var connectionCount: Int { seen.value.withLock { $0.connectionCount } }

  /// Sends unsolicited bytes on the open connections.
  package func send(_ bytes: [UInt8]) throws {
    for connection in upstream.connections { try connection.send(bytes) }
  }

  /// Ends the open connections, like a Core that restarts.
  package func endConnections() {
    for connection in upstream.connections { connection.end() }
  }

  /// Refuses new connections and keeps open ones.
  package func stopListening() { upstream.stopListening() }

  /// Ends all connections and the listener.
  package func stop() { upstream.stop() }

  /// A response with a JSON body and its length.
  package static func json(_ body: String, status: String = "200 OK") -> [UInt8] {
    Array(
      "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
  }
}
