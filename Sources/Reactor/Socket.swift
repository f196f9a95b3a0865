package import Bytes
package import System

/// What a non-blocking read or write came to.
package enum Transfer: Equatable, Sendable {
  case bytes(Int)
  case wouldBlock
  /// The peer has ended its side (reads only).
  case ended
  case failed(Errno)
}

/// A connected, non-blocking stream socket, closed when its one owner lets go of it.
package struct Socket: ~Copyable {
  /// Its descriptor.
  package let number: Int32
  private let calls: any SocketCalls

  package init(_ descriptor: consuming FileDescriptor, calls: any SocketCalls = LinuxSocketCalls.shared) {
    number = descriptor.release()
    self.calls = calls
  }

  deinit { calls.close(number) }

  /// Reads into the free capacity of `buffer`, of which there must be some.
  package func receive(into buffer: ByteBuffer) -> Transfer { calls.receive(number, into: buffer) }

  /// Writes a range of `buffer`.
  ///
  /// - Parameter isLast: `endOutput` or the socket's end follows at once; until then the bytes may be held back.
  package func send(_ buffer: ByteBuffer, _ range: Range<Int>, isLast: Bool) -> Transfer {
    calls.send(number, buffer, range, isLast: isLast)
  }

  /// Writes the rest of `first` and then a range of `second` with one call.
  package func send(
    _ first: ByteBuffer, from offset: Int, then second: ByteBuffer, _ range: Range<Int>, isLast: Bool
  ) -> Transfer {
    calls.send(number, first, from: offset, then: second, range, isLast: isLast)
  }

  /// Ends our sending side, so that the peer reads the answer to its end.
  package func endOutput() { calls.endOutput(number) }

  /// Makes closing a reset: the peer cannot take what it has for the whole.
  package func resetOnClose() { calls.resetOnClose(number) }
}
