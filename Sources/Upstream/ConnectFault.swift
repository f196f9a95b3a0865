import CLibcurl

/// Why connecting to an upstream failed. Nothing was sent.
package struct ConnectFault: Error, Sendable {
  package enum Kind: Sendable, CaseIterable {
    case refused, unresolved, tlsFailed, timedOut
    /// The upstream sent bytes before any request: they are not a response.
    case spokeFirst
    /// The upstream closed the connection before any request.
    case closedEarly
  }

  package let kind: Kind
  /// libcurl's message. For the log only: it names addresses and certificates.
  package let detail: String

  init(_ kind: Kind, _ detail: String) {
    self.kind = kind
    self.detail = detail
  }

  /// - Parameter code: the result of libcurl's transfer (<https://curl.se/libcurl/c/libcurl-errors.html>).
  static func kind(of code: CURLcode) -> Kind {
    switch code {
    case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: .unresolved
    case CURLE_OPERATION_TIMEDOUT: .timedOut
    case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
      CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_ENGINE_INITFAILED, CURLE_USE_SSL_FAILED,
      CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT:
      .tlsFailed
    default: .refused
    }
  }
}
