package import Bytes

/// The system calls of connected sockets: Linux's, or those of a simulation.
package protocol SocketCalls: AnyObject {
  /// Reads into the free capacity of `buffer`, of which there must be some.
  func receive(_ descriptor: Int32, into buffer: ByteBuffer) -> Transfer
  /// - Parameter isLast: the end follows at once, and shares a packet with these bytes.
  func send(_ descriptor: Int32, _ buffer: ByteBuffer, _ range: Range<Int>, isLast: Bool) -> Transfer
  /// Writes the rest of `first` and then a range of `second` with one call.
  func send(
    _ descriptor: Int32, _ first: ByteBuffer, from offset: Int, then second: ByteBuffer, _ range: Range<Int>,
    isLast: Bool
  ) -> Transfer
  /// How many bytes have come and were not read; nil where the system does not tell.
  func bytesWaiting(_ descriptor: Int32) -> Int?
  func endOutput(_ descriptor: Int32)
  func resetOnClose(_ descriptor: Int32)
  func peerAddress(_ descriptor: Int32) -> SocketAddress?
  func close(_ descriptor: Int32)
}
