import CLinux
import Glibc

/// What a non-blocking read or write came to.
package enum Transfer: Equatable, Sendable {
  case bytes(Int)
  case wouldBlock
  /// The peer has ended its side (reads only).
  case ended
  case failed(Errno)
}

/// A connected, non-blocking stream socket.
package struct Socket: ~Copyable {
  package let descriptor: FileDescriptor

  package init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

  /// Reads into the free room of `buffer`, of which there must be some.
  package func receive(into buffer: ByteBuffer) -> Transfer {
    let room = buffer.freeCapacity
    // "Would block" would lose the edge, and reading nothing looks like the end.
    precondition(room > 0, "no room to read into")
    let count = unsafe recv(descriptor.number, buffer.address(at: buffer.count), room, 0)
    if count > 0 {
      buffer.didReceive(count)
      return .bytes(count)
    }
    return count == 0 ? .ended : Self.failure()
  }

  /// Writes a range of `buffer`.
  package func send(_ buffer: ByteBuffer, _ range: Range<Int>) -> Transfer {
    precondition(range.upperBound <= buffer.count)
    let count = unsafe Glibc.send(
      descriptor.number, buffer.address(at: range.lowerBound), range.count, Int32(MSG_NOSIGNAL))
    return count >= 0 ? .bytes(count) : Self.failure()
  }

  /// Writes the rest of `first` and then a range of `second` with one call.
  package func send(_ first: ByteBuffer, from offset: Int, then second: ByteBuffer, _ range: Range<Int>) -> Transfer {
    precondition(range.upperBound <= second.count && offset <= first.count)
    var parts = unsafe InlineArray<2, iovec>(repeating: iovec())
    unsafe parts[0] = iovec(iov_base: first.address(at: offset), iov_len: first.count - offset)
    unsafe parts[1] = iovec(iov_base: second.address(at: range.lowerBound), iov_len: range.count)
    var span = unsafe parts.mutableSpan
    let count = unsafe span.withUnsafeMutableBufferPointer { parts in
      var message = unsafe msghdr()
      unsafe message.msg_iov = parts.baseAddress
      unsafe message.msg_iovlen = 2
      return unsafe sendmsg(descriptor.number, &message, Int32(MSG_NOSIGNAL))
    }
    return count >= 0 ? .bytes(count) : Self.failure()
  }

  /// Ends our sending side, so that the peer reads the answer to its end.
  package func endOutput() { shutdown(descriptor.number, Int32(SHUT_WR)) }

  /// Makes closing a reset: the peer cannot take what it has for the whole.
  package func resetOnClose() {
    var linger = linger(l_onoff: 1, l_linger: 0)
    unsafe _ = setsockopt(
      descriptor.number, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
  }

  /// Sends small writes at once (TCP; other sockets ignore it).
  package func disableDelay() {
    var one: Int32 = 1
    unsafe _ = setsockopt(
      descriptor.number, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
  }

  private static func failure() -> Transfer {
    let error = Errno.last
    switch error.number {
    case EAGAIN, EINTR: return .wouldBlock
    default: return .failed(error)
    }
  }
}
