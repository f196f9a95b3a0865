import Foundation
import Synchronization
import TestSupport

/// What a Core can do wrong with one request.
enum CoreFault: String, CaseIterable {
  case none, closeUnread, resetUnread, closeUnanswered, resetUnanswered, closeInHead, closeAfterHead, resetInBody
  case stallUnanswered, stallInHead, stallInBody, halfChunk, badChunk, garbage, bothLengths, tooMuch, slowBytes

  /// What is sent after the request was read; nil: it is not read at all.
  var bytes: String? {
    switch self {
    case .none, .slowBytes, .closeUnread, .resetUnread: nil
    case .closeUnanswered, .resetUnanswered, .stallUnanswered: ""
    case .closeInHead, .stallInHead: "HTTP/1.1 200 OK\r\nContent-Le"
    case .closeAfterHead: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    case .resetInBody, .stallInBody: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"
    case .halfChunk: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"
    case .badChunk: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    case .garbage: "this is not HTTP\r\n\r\n"
    case .bothLengths: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    case .tooMuch: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    }
  }

  /// The connection is closed or reset before the request is read.
  var isBeforeReading: Bool { self == .closeUnread || self == .resetUnread }

  enum End { case keep, close, reset, stall }

  var end: End {
    switch self {
    case .none, .slowBytes, .tooMuch, .garbage, .badChunk, .bothLengths: .keep
    case .closeUnread, .closeUnanswered, .closeInHead, .closeAfterHead, .halfChunk: .close
    case .resetUnread, .resetUnanswered, .resetInBody: .reset
    case .stallUnanswered, .stallInHead, .stallInBody: .stall
    }
  }
}

/// A Core that produces the fault named in `X-Fault`, and counts the requests it has executed.
final class FaultyCore: Sendable {
  struct Seen: Sendable {
    /// How often each request, by its `X-Id`, was read completely.
    var executed: [String: Int] = [:]
    /// The connection that it came on last.
    var connection: [String: Int] = [:]
  }

  private final class Shared: Sendable {
    let seen = Mutex(Seen())
    /// The fault of the next request, which is not read.
    let unread = Mutex(CoreFault?.none)
  }

  private let shared: Shared
  private let upstream: RawUpstream
  var port: UInt16 { upstream.port }
  var seen: Seen { shared.seen.withLock { $0 } }

  init() throws {
    let shared = Shared()
    self.shared = shared
    upstream = try RawUpstream { socket, number in Self.serve(socket, number, shared) }
  }

  /// Closes or resets the connection of the next request before reading it.
  func leaveUnread(_ fault: CoreFault) { shared.unread.withLock { $0 = fault } }

  func endConnections() { for connection in upstream.connections { connection.end() } }

  private static func serve(_ socket: TestSocket, _ number: Int, _ shared: Shared) {
    var reader = TestMessageReader(socket)
    while socket.waitUntilReadable() {
      let unread = shared.unread.withLock { fault in
        defer { fault = nil }
        return fault
      }
      if let unread {
        if unread.end == .reset { socket.resetOnClose() } else { socket.end() }
        return
      }
      guard let message = try? reader.next() else { return }
      let id = message["X-Id"] ?? ""
      shared.seen.withLock { seen in
        seen.executed[id, default: 0] += 1
        seen.connection[id] = number
      }
      guard play(CoreFault(rawValue: message["X-Fault"] ?? "") ?? .none, id, message, on: socket) else { return }
    }
  }

  /// Returns false if the connection has ended.
  private static func play(_ fault: CoreFault, _ id: String, _ message: TestMessage, on socket: TestSocket) -> Bool {
    let isHead = message.startLine.hasPrefix("HEAD ")
    let whole = "HTTP/1.1 200 OK\r\nX-Id: \(id)\r\nContent-Length: \(id.utf8.count)\r\n\r\n\(isHead ? "" : id)"
    if fault == .slowBytes {
      for byte in whole.utf8 {
        try? socket.send([byte])
        Thread.sleep(forTimeInterval: 0.001)
      }
      return true
    }
    try? socket.send(fault.bytes ?? whole)
    switch fault.end {
    case .keep: return true
    case .close: socket.end()
    case .reset: socket.resetOnClose()
    case .stall: _ = socket.waitUntilReadable()
    }
    return false
  }
}
