package import Bytes
package import Reactor

/// The transport of one upstream connection: libcurl, or a simulation of it.
package protocol Link: AnyObject {
  /// Starts to connect. It calls `owner` for sockets and timers, only during `drive` and when it ends.
  func begin(for owner: UpstreamConnection)
  /// Continues to connect: `socket` is ready, or the timer has fired.
  ///
  /// - Parameter ready: a mask of CURL_CSELECT_….
  /// - Returns: how the connect ended; nil while it is under way.
  func drive(_ socket: Int32, _ ready: Int32) -> LinkOutcome?
  /// Continues to connect although no socket is ready and no timer has fired.
  func driveAll() -> LinkOutcome?
  /// Called when `owner` is asked for a socket: the name is resolved.
  func nameWasResolved()
  /// The connected socket, owned by the link. Without TLS, `owner` reads and writes it directly.
  var activeSocket: Int32? { get }
  /// Whether the link may have taken more bytes from the socket than it has returned.
  var readsAhead: Bool { get }
  /// Reads over TLS into the free capacity of `buffer`, which must not be 0.
  ///
  /// `.ended` is the peer's close_notify. An end of the TCP connection without one is `.failed`, now and from then on.
  func receive(into buffer: ByteBuffer) -> Transfer
  /// Writes a range of `buffer` over TLS. After `.wouldBlock` the next call must pass the same bytes.
  func send(_ buffer: ByteBuffer, _ range: Range<Int>) -> Transfer
  /// Why the last failed transfer over TLS failed. For the log only.
  var failure: String? { get }
}

/// How a connect ended.
package enum LinkOutcome: Sendable {
  case connected
  /// The text is the link's own, for the log only.
  case failed(ConnectFault.Kind, String)
}

/// Makes the link of one connection; nil if allocation fails.
package typealias LinkMaker = (UpstreamSettings) -> (any Link)?

extension Link {
  package func nameWasResolved() {}
}
