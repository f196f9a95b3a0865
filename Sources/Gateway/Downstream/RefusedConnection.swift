import Bytes
import Reactor
import System

/// A connection above a limit: gets a local reply at once, and lingers until the peer has closed (RFC 9112 §9.6).
final class RefusedConnection: EventHandler {
  private let loop: EventLoop
  private let ended: (RefusedConnection) -> Void
  /// Closed by `end`, before the object is freed: descriptors are scarce.
  private var socket: Socket?
  private var registration = Registration.none
  private var lingering = LingeringClose(bytesMax: lingerBytesMax)

  private static let lingerMilliseconds: Int64 = 1_000
  private static let lingerBytesMax = 64 << 10

  init(_ socket: consuming Socket, loop: EventLoop, ended: @escaping (RefusedConnection) -> Void) {
    self.socket = .some(socket)
    self.loop = loop
    self.ended = ended
    super.init()
    registration = loop.register(self)
  }

  /// Writes the reply, which fits into the send buffer of a new socket. Returns how many bytes were written.
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
      loop.setDeadline(loop.now + Self.lingerMilliseconds, for: registration)
    } catch {
      end()
    }
  }

  override func ready(_ readiness: Readiness) {
    switch drain() {
    case .waiting: break
    case .peerEnded, .boundReached: end()
    }
  }

  private func drain() -> LingeringClose.Progress {
    switch socket {
    case .some(let socket): lingering.drain(socket, into: ByteBuffer(capacity: 4 << 10))
    case .none: .peerEnded
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
