package import Bytes
package import System

/// The result of a non-blocking read or write.
package enum Transfer: Equatable, Sendable {
  case bytes(Int)
  case wouldBlock
  /// The peer has closed its sending side (reads only).
  case ended
  case failed(Errno)
}

/// The system calls of connected sockets: Linux's or a simulation's.
package protocol SocketCalls: AnyObject {
  /// Reads into the free capacity of `buffer`, which must not be 0.
  func receive(_ descriptor: Int32, into buffer: ByteBuffer) -> Transfer
  /// - Parameter isLast: the end of the output follows at once and may share a packet with these bytes.
  func send(_ descriptor: Int32, _ buffer: ByteBuffer, _ range: Range<Int>, isLast: Bool) -> Transfer
  /// Writes the rest of `first`, then a range of `second`, in one call.
  func send(
    _ descriptor: Int32, _ first: ByteBuffer, from offset: Int, then second: ByteBuffer, _ range: Range<Int>,
    isLast: Bool
  ) -> Transfer
  /// The number of bytes received and not read; nil if the system cannot report it.
  func bytesWaiting(_ descriptor: Int32) -> Int?
  func endOutput(_ descriptor: Int32)
  func resetOnClose(_ descriptor: Int32)
  func peerAddress(_ descriptor: Int32) -> SocketAddress?
  func close(_ descriptor: Int32)
}

/// A connected, non-blocking stream socket with one owner, closed when the owner releases it.
package struct Socket: ~Copyable {
  /// The descriptor.
  package let number: Int32
  private let calls: any SocketCalls

  package init(_ descriptor: consuming FileDescriptor, calls: any SocketCalls = LinuxSocketCalls.shared) {
    number = descriptor.release()
    self.calls = calls
  }

  deinit { calls.close(number) }

  /// Reads into the free capacity of `buffer`, which must not be 0.
  package func receive(into buffer: ByteBuffer) -> Transfer { calls.receive(number, into: buffer) }

  /// Writes a range of `buffer`.
  ///
  /// - Parameter isLast: `endOutput` or closing follows at once; the kernel may hold the bytes back until then.
  package func send(_ buffer: ByteBuffer, _ range: Range<Int>, isLast: Bool) -> Transfer {
    calls.send(number, buffer, range, isLast: isLast)
  }

  /// Writes the rest of `first`, then a range of `second`, in one call.
  package func send(
    _ first: ByteBuffer, from offset: Int, then second: ByteBuffer, _ range: Range<Int>, isLast: Bool
  ) -> Transfer {
    calls.send(number, first, from: offset, then: second, range, isLast: isLast)
  }

  /// Closes the sending side, so that the peer reads the response to its end.
  package func endOutput() { calls.endOutput(number) }

  /// Makes closing send a reset, so that the peer cannot take a truncated response for a complete one.
  package func resetOnClose() { calls.resetOnClose(number) }
}
