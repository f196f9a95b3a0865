package import Bytes
package import Reactor

/// What carries one upstream connection: libcurl, or a simulation of it.
package protocol Link: AnyObject {
  /// Starts to connect; what it wants of the loop it tells `owner`, during `drive` and at its end only.
  func begin(for owner: UpstreamConnection)
  /// Goes on connecting: `socket` is ready for a mask of CURL_CSELECT_…, or its time has come.
  ///
  /// - Returns: how the connect ended, nil while it is under way.
  func drive(_ socket: Int32, _ ready: Int32) -> LinkOutcome?
  /// The same though no socket is ready and no time has come.
  func goOn() -> LinkOutcome?
  /// `owner` was asked for a socket: the name has an address.
  func nameWasResolved()
  /// The connected socket, which stays the link's; without TLS the bytes go there.
  var activeSocket: Int32? { get }
  /// Whether more may have been taken from the socket than was read.
  var readsAhead: Bool { get }
  /// Reads over TLS into the free room of `buffer`, of which there must be some.
  ///
  /// `.ended` is the peer's close_notify; the TCP connection's end without one is `.failed`, and so is what follows it.
  func receive(into buffer: ByteBuffer) -> Transfer
  /// Writes a range of `buffer` over TLS; after `.wouldBlock` the same bytes go again.
  func send(_ buffer: ByteBuffer, _ range: Range<Int>) -> Transfer
  /// Why the last transfer over TLS that failed did so, for the log only.
  var failure: String? { get }
}

/// How a connect ended.
package enum LinkOutcome: Sendable {
  case connected
  /// With the link's own words, for the log only.
  case failed(ConnectFault.Kind, String)
}

/// Makes the link of one connection; nil where there is no memory for it.
package typealias LinkMaker = (UpstreamSettings) -> (any Link)?

extension Link {
  package func nameWasResolved() {}
}
