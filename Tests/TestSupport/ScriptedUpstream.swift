import Foundation
import Glibc
import Reactor
import Synchronization

/// A Core whose every byte a test decides: it counts connections, keeps each request, and answers by script.
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
    /// Bytes, and then nothing more until the test is over.
    case stall([UInt8])
  }

  package let port: UInt16
  private let listener: FileDescriptor
  private let script: @Sendable (Request) -> Answer
  private struct Seen: Sendable {
    var requests: [Request] = []
    var connections: [TestSocket] = []
    var isStopped = false
  }
  private let seen = Mutex(Seen())

  /// - Parameter script: called for each whole request, on its connection's thread.
  package init(_ script: @escaping @Sendable (Request) -> Answer) throws {
    let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw Errno.last }
    let listener = FileDescriptor(owning: number)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = unsafe withUnsafeMutableBytes(of: &address) {
      let pointer = unsafe $0.baseAddress!.assumingMemoryBound(to: sockaddr.self)
      return unsafe bind(number, pointer, size) | listen(number, 128) | getsockname(number, pointer, &size)
    }
    guard result == 0 else { throw Errno.last }
    port = UInt16(bigEndian: address.sin_port)
    self.listener = listener
    self.script = script
    Thread { [self] in acceptAll() }.start()
  }

  package convenience init(answer: String) throws {
    try self.init { _ in .bytes(Array(answer.utf8)) }
  }

  package var requests: [Request] { seen.withLock { $0.requests } }
  package var connectionCount: Int { seen.withLock { $0.connections.count } }

  /// Ends all connections and the listener.
  package func stop() {
    let connections = seen.withLock { seen in
      seen.isStopped = true
      return seen.connections
    }
    shutdown(listener.number, Int32(SHUT_RDWR))
    for connection in connections { connection.end() }
  }

  /// Ends the connections that are open, as a Core that restarts does.
  package func endConnections() {
    for connection in seen.withLock({ $0.connections }) { connection.end() }
  }

  private func acceptAll() {
    while true {
      let number = accept(listener.number, nil, nil)
      guard number >= 0 else { return }
      let socket = TestSocket(owning: number)
      let index = seen.withLock { seen in
        seen.connections.append(socket)
        return seen.isStopped ? nil : seen.connections.count - 1
      }
      guard let index else { return }
      Thread { [self] in serve(socket, index) }.start()
    }
  }

  private func serve(_ socket: TestSocket, _ connection: Int) {
    var reader = TestMessageReader(socket)
    var number = 0
    while let message = try? reader.next() {
      let request = Request(message: message, connection: connection, number: number)
      seen.withLock { $0.requests.append(request) }
      number += 1
      switch script(request) {
      case .bytes(let bytes):
        try? socket.send(bytes)
      case .last(let bytes):
        try? socket.send(bytes)
        return socket.end()
      case .reset(let bytes):
        try? socket.send(bytes)
        socket.resetOnClose()
        return seen.withLock { $0.connections[connection] = TestSocket(owning: -1) }
      case .stall(let bytes):
        try? socket.send(bytes)
        while !seen.withLock(\.isStopped) { Thread.sleep(forTimeInterval: 0.02) }
        return
      }
    }
  }

  /// An answer with a JSON body and its length.
  package static func json(_ body: String, status: String = "200 OK") -> [UInt8] {
    Array(
      "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
  }
}
