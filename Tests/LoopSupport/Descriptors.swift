package import Bytes
import Foundation
import Glibc
package import Reactor
package import System
import TestValues

/// The open descriptors of this process, each as number and target, for example `7 socket:[123]`.
package func openDescriptors() -> Set<String> {
  let folder = "/proc/self/fd"
  let numbers = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
  return Set(
    numbers.compactMap { number in
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(number)")).map { "\(number) \($0)" }
    })
}

/// Those of `descriptors` that stay open: leaks. Descriptors of other tests in this process are closed at some time.
package func descriptorsThatStay(of descriptors: Set<String>) -> Set<String> {
  var left = descriptors
  for _ in 0..<1_000 where !left.isEmpty {
    left.formIntersection(openDescriptors())
    if !left.isEmpty { usleep(20_000) }
  }
  return left
}

/// One end of a connection, closed with its last holder.
package final class Peer {
  package let socket: Socket

  package init(_ socket: consuming Socket) { self.socket = socket }

  package var number: Int32 { socket.number }

  /// Writes a short text in one piece.
  package func send(_ text: String) -> Bool {
    let buffer = ByteBuffer(text)
    return send(buffer) == .bytes(buffer.count)
  }

  package func send(_ buffer: ByteBuffer) -> Transfer { socket.send(buffer, 0..<buffer.count, isLast: false) }

  package func receive(into buffer: ByteBuffer) -> Transfer { socket.receive(into: buffer) }

  /// What has arrived, as text; nil at the end or after an error.
  package func receive() -> String? {
    let buffer = ByteBuffer(capacity: 4_096)
    switch receive(into: buffer) {
    case .bytes: return buffer.text
    case .wouldBlock: return ""
    case .ended, .failed: return nil
    }
  }

  package func endOutput() { socket.endOutput() }
}

/// Two connected, non-blocking sockets.
package struct SocketPair {
  package let near: Peer
  package let far: Peer

  package init() throws(Errno) {
    var numbers = InlineArray<2, Int32>(repeating: -1)
    var span = numbers.mutableSpan
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let result = unsafe span.withUnsafeMutableBufferPointer { unsafe socketpair(AF_UNIX, kind, 0, $0.baseAddress) }
    guard result == 0 else { throw Errno.last }
    near = Peer(Socket(FileDescriptor(owning: numbers[0])))
    far = Peer(Socket(FileDescriptor(owning: numbers[1])))
  }
}

extension Reactor.Listener {
  /// The next connection, if one is waiting.
  package func next() throws(Errno) -> Peer? {
    var peer: SocketAddress?
    guard let descriptor = try accept(from: &peer) else { return nil }
    return Peer(Socket(descriptor))
  }
}
