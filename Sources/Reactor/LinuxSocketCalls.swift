package import Bytes
import CLinux
import Glibc
import System

/// The system calls of Linux.
package final class LinuxSocketCalls: SocketCalls, Sendable {
  package static let shared = LinuxSocketCalls()

  package func receive(_ descriptor: Int32, into buffer: ByteBuffer) -> Transfer {
    let capacity = buffer.freeCapacity
    // With no capacity, `wouldBlock` would lose the edge, and a read of 0 bytes looks like the end of the stream.
    precondition(capacity > 0, "no capacity to read into")
    let count = unsafe linux_receive(descriptor, buffer.address(at: buffer.count), capacity)
    if count > 0 {
      buffer.didReceive(count)
      return .bytes(count)
    }
    return count == 0 ? .ended : Self.failure()
  }

  package func send(_ descriptor: Int32, _ buffer: ByteBuffer, _ range: Range<Int>, isLast: Bool) -> Transfer {
    precondition(range.upperBound <= buffer.count)
    let count = unsafe linux_send(
      descriptor, buffer.address(at: range.lowerBound), range.count, Self.flags(isLast: isLast))
    return count >= 0 ? .bytes(count) : Self.failure()
  }

  package func send(
    _ descriptor: Int32, _ first: ByteBuffer, from offset: Int, then second: ByteBuffer, _ range: Range<Int>,
    isLast: Bool
  ) -> Transfer {
    precondition(range.upperBound <= second.count && offset <= first.count)
    var parts = unsafe InlineArray<2, iovec>(repeating: iovec())
    unsafe parts[0] = iovec(iov_base: first.address(at: offset), iov_len: first.count - offset)
    unsafe parts[1] = iovec(iov_base: second.address(at: range.lowerBound), iov_len: range.count)
    var span = unsafe parts.mutableSpan
    let count = unsafe span.withUnsafeMutableBufferPointer { parts in
      var message = unsafe msghdr()
      unsafe message.msg_iov = parts.baseAddress
      unsafe message.msg_iovlen = 2
      return unsafe sendmsg(descriptor, &message, Self.flags(isLast: isLast))
    }
    return count >= 0 ? .bytes(count) : Self.failure()
  }

  /// MSG_MORE lets the kernel send the last bytes together with the FIN: one packet of twelve less, and a seventh of the
  /// CPU time of a connection with one request.
  private static func flags(isLast: Bool) -> Int32 { Int32(isLast ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL) }

  package func bytesWaiting(_ descriptor: Int32) -> Int? {
    var count: Int32 = 0
    return unsafe linux_bytes_waiting(descriptor, &count) == 0 ? Int(count) : nil
  }

  package func endOutput(_ descriptor: Int32) { _ = shutdown(descriptor, Int32(SHUT_WR)) }

  package func resetOnClose(_ descriptor: Int32) {
    var linger = linger(l_onoff: 1, l_linger: 0)
    unsafe _ = setsockopt(
      descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
  }

  package func peerAddress(_ descriptor: Int32) -> SocketAddress? { Reactor.peerAddress(of: descriptor) }

  package func close(_ descriptor: Int32) { _ = Glibc.close(descriptor) }

  private static func failure() -> Transfer {
    let error = Errno.last
    switch error.number {
    case EAGAIN, EINTR: return .wouldBlock
    default: return .failed(error)
    }
  }
}
