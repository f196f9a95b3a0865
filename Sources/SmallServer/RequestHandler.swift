package import Bytes
package import HTTP1
package import Reactor

/// Responds to the requests of a small server; created and called on the server's one thread.
package protocol RequestHandler: AnyObject {
  /// Writes the response to one request, or its first part.
  ///
  /// - Parameter bytes: the bytes that `head` was parsed from.
  func respond(
    to head: borrowing RequestHead, _ bytes: Span<UInt8>, _ request: SmallRequest, _ output: ByteBuffer
  ) -> SmallResponse

  /// The bound on the body of this request; nil: that of the server.
  func bodyBytesMax(of head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Int?

  /// Writes the response to a malformed or oversized request; the connection closes after it.
  ///
  /// - Parameters:
  ///   - isHead: whether it is a HEAD, whose response has no content (RFC 9110 §9.3.2).
  ///   - seconds: seconds since 1970.
  func reject(_ fault: SmallRequestFault, isHead: Bool, at seconds: Int64, to output: ByteBuffer)
}

extension RequestHandler {
  package func bodyBytesMax(of head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Int? { nil }
}

/// What accompanies the head of a request.
package struct SmallRequest {
  package let body: [UInt8]
  package let peer: SocketAddress?
  /// Seconds since 1970.
  package let seconds: Int64
  /// Whether it arrived on a reserved connection, while all regular ones were in use.
  package let isReserved: Bool
  /// Whether the server takes another stream.
  package let mayStream: Bool
}

/// What the server does after the handler has written a response.
package struct SmallResponse {
  /// Whether the connection may carry another request.
  package let keepsAlive: Bool
  /// Appends the next part of the response once the previous one is sent; returns false with the last part.
  package let nextPart: ((ByteBuffer) -> Bool)?
  /// Whether the parts after the first one wait: each for the next whole second after the previous one is sent.
  ///
  /// A peer that reads slowly thus gets fewer parts, and no part waits in memory for another one.
  package let isStream: Bool

  package init(keepsAlive: Bool, isStream: Bool = false, nextPart: ((ByteBuffer) -> Bool)? = nil) {
    self.keepsAlive = keepsAlive
    self.isStream = isStream
    self.nextPart = nextPart
  }
}

/// Why a request does not reach the handler's `respond`.
package enum SmallRequestFault {
  case head(HeadFault)
  case body(BodyFault)
}

/// The limits of a small server.
package struct SmallServerBounds: Sendable {
  /// Regular connections. To accept one more, the server closes the connection that has waited longest for a complete
  /// head.
  package var connectionsMax: Int
  /// Further connections, for the subset of requests that the handler answers on them. If none of these can be closed
  /// either, a new connection is closed as soon as it is accepted.
  package var reservedConnectionsMax: Int
  /// Connections that carry a stream: they count neither as regular nor as reserved.
  package var streamsMax: Int
  package var bodyBytesMax: Int
  package var headLimits = HeadLimits()
  /// The time limit for receiving a request and for sending each part of a response; nil: none.
  package var timeoutMilliseconds: Int64?

  package init(
    connectionsMax: Int, reservedConnectionsMax: Int = 0, streamsMax: Int = 0, bodyBytesMax: Int,
    timeoutMilliseconds: Int64?
  ) {
    self.connectionsMax = connectionsMax
    self.reservedConnectionsMax = reservedConnectionsMax
    self.streamsMax = streamsMax
    self.bodyBytesMax = bodyBytesMax
    self.timeoutMilliseconds = timeoutMilliseconds
  }
}
