import Bytes
import Reactor
import System

/// A connection for which there is no place: told so at once, then read over until its client has left.
///
/// Closing at once would reset it, and the client's system might drop the answer unread (RFC 9112 §9.6).
final class RefusedConnection: EventHandler {
  private let loop: EventLoop
  private let ended: (RefusedConnection) -> Void
  /// Given up at the end, not with the object: descriptors are what lacks.
  private var socket: Socket?
  private var registration = Registration.none
  private var readBytes = 0

  private static let milliseconds: Int64 = 1_000
  private static let readBytesMax = 64 << 10

  init(_ socket: consuming Socket, loop: EventLoop, ended: @escaping (RefusedConnection) -> Void) {
    self.socket = .some(socket)
    self.loop = loop
    self.ended = ended
    super.init()
    registration = loop.register(self)
  }

  /// Writes the answer, which a new socket has room for.
  func answer(_ bytes: ByteBuffer) -> Int {
    guard case .bytes(let count) = socket?.send(bytes, 0..<bytes.count, isLast: true) else {
      end()
      return 0
    }
    socket?.endOutput()
    watch()
    return count
  }

  private func watch() {
    guard let descriptor = socket?.number else { return }
    do throws(Errno) {
      try loop.watch(descriptor, for: registration)
      loop.setDeadline(loop.now + Self.milliseconds, for: registration)
    } catch {
      end()
    }
  }

  override func ready(_ readiness: Readiness) {
    let scratch = ByteBuffer(capacity: 4 << 10)
    while true {
      scratch.removeAll()
      switch socket?.receive(into: scratch) {
      case .bytes(let count):
        readBytes += count
        guard readBytes < Self.readBytesMax else { return end() }
      case .wouldBlock: return
      case .ended, .failed, nil: return end()
      }
    }
  }

  override func deadlinePassed() { end() }

  func end() {
    guard socket != nil else { return }
    socket = nil
    loop.unregister(registration)
    ended(self)
  }
}
