package import Policies

/// What the PROXY protocol header of a connection says (proxy-protocol.txt of HAProxy, versions 1 and 2).
package struct ProxyHeader: Equatable, Sendable {
  /// The length of the longest header that is accepted, in bytes.
  package static let bytesMax = BinaryHeader.fixedBytes + BinaryHeader.blockBytesMax

  package enum Client: Equatable, Sendable {
    case address(IPAddress, port: UInt16)
    /// The front accepted the connection on a Unix socket, which has no address.
    case unix
    /// The header names no client (LOCAL, UNKNOWN or UNSPEC): the connection's own peer is the client.
    case connection
  }

  /// The length of the header; the connection's own data follows.
  package let byteCount: Int
  package let client: Client
  /// Whether the client's connection to the front uses TLS. Version 1 does not say.
  package let isTLS: Bool
}

/// Parses the PROXY protocol header of one connection incrementally, in version 1 or 2.
///
/// There is always a header: one that is optional would let every peer choose its address (§2).
package struct ProxyHeaderParser: Sendable {
  private var binary = BinaryHeader()

  package init() {}

  /// Resumes parsing; nil if more bytes are needed, which is never so with `ProxyHeader.bytesMax` of them.
  ///
  /// `bytes` must always start at the connection's first byte and only grow between calls; bytes after the header are
  /// not read. Each byte of version 1 is checked as it arrives, and each field of version 2 once it is complete. After
  /// a fault, every further call throws it again.
  package mutating func parse(_ bytes: Span<UInt8>) throws(ProxyHeaderFault) -> ProxyHeader? {
    guard !bytes.isEmpty else { return nil }
    return bytes[0] == UInt8(ascii: "P") ? try TextHeader.read(bytes) : try binary.read(bytes)
  }
}
