/// Why a connection has no valid PROXY protocol header; it must be closed.
package enum ProxyHeaderFault: Error, Equatable, Sendable, CaseIterable {
  case missing
  case lineTooLong, lineProtocol, lineSource, lineDestination, lineSourcePort, lineDestinationPort, lineEnd
  case version, command, datagram, family, lengthTooLong, addressesTruncated
  case fieldTruncated, checksumLength, checksumRepeated, checksumMismatch
  case tlsTooShort, tlsRepeated, tlsFieldTruncated

  /// For logs; it contains no received bytes.
  package var text: StaticString {
    switch self {
    case .missing: "the connection does not begin with a PROXY protocol header"
    case .lineTooLong: "PROXY protocol version 1: no CRLF within the first 107 bytes"
    case .lineProtocol: "PROXY protocol version 1: the protocol is not TCP4, TCP6 or UNKNOWN and a space"
    case .lineSource: "PROXY protocol version 1: the source is not an address of the protocol and a space"
    case .lineDestination: "PROXY protocol version 1: the destination is not an address of the protocol and a space"
    case .lineSourcePort: "PROXY protocol version 1: the source port is not a number from 0 to 65535 and a space"
    case .lineDestinationPort: "PROXY protocol version 1: the destination port is not a number from 0 to 65535 and CRLF"
    case .lineEnd: "PROXY protocol version 1: the CR after the destination port is not followed by LF"
    case .version: "PROXY protocol version 2, byte 13: the version is not 2"
    case .command: "PROXY protocol version 2, byte 13: the command is not LOCAL or PROXY"
    case .datagram: "PROXY protocol version 2, byte 14: a datagram protocol, which cannot carry this connection"
    case .family: "PROXY protocol version 2, byte 14: unknown address family or protocol"
    case .lengthTooLong: "PROXY protocol version 2, bytes 15 and 16: the length is above 2048"
    case .addressesTruncated: "PROXY protocol version 2, bytes 15 and 16: the length is too short for the addresses"
    case .fieldTruncated: "PROXY protocol version 2: a TLV is longer than the rest of the header"
    case .checksumLength: "PROXY protocol version 2: the CRC32C TLV does not have 4 bytes"
    case .checksumRepeated: "PROXY protocol version 2: more than one CRC32C TLV"
    case .checksumMismatch: "PROXY protocol version 2: the header does not match its CRC32C"
    case .tlsTooShort: "PROXY protocol version 2: the SSL TLV has fewer than 5 bytes"
    case .tlsRepeated: "PROXY protocol version 2: more than one SSL TLV"
    case .tlsFieldTruncated: "PROXY protocol version 2: a TLV within the SSL TLV is longer than the rest of that"
    }
  }
}
