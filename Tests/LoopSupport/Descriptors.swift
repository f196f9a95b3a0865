package import Bytes
import Foundation
import Glibc
package import Reactor
package import System
import TestValues

/// The descriptors that this process has open, each by its number and what it is, such as `7 socket:[123]`.
package func openDescriptors() -> Set<String> {
  let folder = "/proc/self/fd"
  let numbers = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
  return Set(
    numbers.compactMap { number in
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(number)")).map { "\(number) \($0)" }
    })
}

/// Those of `descriptors` that stay open. Other tests of the process open and close theirs meanwhile; a leak stays.
package func descriptorsThatStay(of descriptors: Set<String>) -> Set<String> {
  var left = descriptors
  for _ in 0..<1_000 where !left.isEmpty {
    left.formIntersection(openDescriptors())
    if !left.isEmpty { usleep(20_000) }
  }
  return left
}

/// One end of a connection in a test's hands; closed with its last holder.
package final class Peer {
  package let socket: Socket

  package init(_ socket: consuming Socket) { self.socket = socket }

  package var number: Int32 { socket.number }

  /// Writes a short text whole.
  package func send(_ text: String) -> Bool {
    let buffer = ByteBuffer(text)
    return send(buffer) == .bytes(buffer.count)
  }

  package func send(_ buffer: ByteBuffer) -> Transfer { socket.send(buffer, 0..<buffer.count, isLast: false) }

  package func receive(into buffer: ByteBuffer) -> Transfer { socket.receive(into: buffer) }

  /// What has come, as text; nil at the end or after an error.
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
  /// The next connection, when one waits.
  package func next() throws(Errno) -> Peer? {
    var peer: SocketAddress?
    guard let descriptor = try accept(from: &peer) else { return nil }
    return Peer(Socket(descriptor))
  }
}
