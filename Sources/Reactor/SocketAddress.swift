import CLinux
import Glibc

/// The address of a peer or a listener, in binary form.
package enum SocketAddress: Hashable, Sendable {
  case ipv4(address: UInt32, port: UInt16)
  /// The two halves of the 128 bits as numbers; `high` holds the first 8 bytes in network order.
  case ipv6(high: UInt64, low: UInt64, port: UInt16)
  case unix(path: String)

  /// Reads a `sockaddr`; nil unless it is an IP or Unix address. The path of a Unix address is not read.
  package init?(bytes: UnsafeRawBufferPointer) {
    var storage = sockaddr_storage()
    unsafe withUnsafeMutableBytes(of: &storage) { buffer in
      unsafe buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.prefix(buffer.count)))
    }
    self.init(storage)
  }

  init?(_ storage: sockaddr_storage) {
    var storage = storage
    switch Int32(storage.ss_family) {
    case AF_INET:
      let address = unsafe withUnsafeBytes(of: &storage) { unsafe $0.load(as: sockaddr_in.self) }
      self = .ipv4(address: UInt32(bigEndian: address.sin_addr.s_addr), port: UInt16(bigEndian: address.sin_port))
    case AF_INET6:
      let (halves, port) = unsafe withUnsafeBytes(of: &storage) { bytes in
        let address = unsafe bytes.load(as: sockaddr_in6.self)
        let halves = unsafe withUnsafeBytes(of: address.sin6_addr) {
          unsafe ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
        return (halves, UInt16(bigEndian: address.sin6_port))
      }
      self = Self.unmapped(high: UInt64(bigEndian: halves.0), low: UInt64(bigEndian: halves.1), port: port)
    case AF_UNIX:
      self = .unix(path: "")
    default:
      return nil
    }
  }

  /// Turns `::ffff:a.b.c.d` into the IPv4 address a.b.c.d (RFC 4291 §2.5.5.2), so that rules for one form hold for both.
  private static func unmapped(high: UInt64, low: UInt64, port: UInt16) -> SocketAddress {
    guard high == 0, low >> 32 == 0xFFFF else { return .ipv6(high: high, low: low, port: port) }
    return .ipv4(address: UInt32(truncatingIfNeeded: low), port: port)
  }

  package var port: UInt16? {
    switch self {
    case .ipv4(_, let port), .ipv6(_, _, let port): port
    case .unix: nil
    }
  }
}
