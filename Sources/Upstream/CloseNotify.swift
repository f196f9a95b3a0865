import CLibcurl
import Glibc

/// Tells the two ends of a TLS connection apart: the peer's close_notify, and a TCP end without one.
///
/// An attacker on the path can forge the second (RFC 9112 §9.8), and `curl_easy_recv` reports 0 bytes for both: libcurl
/// ignores SSL_ERROR_SYSCALL up to 8.14 (<https://github.com/curl/curl/pull/17531>), and its BIO never tells OpenSSL 3.0
/// of the end, so that SSL_OP_IGNORE_UNEXPECTED_EOF makes no difference. OpenSSL itself knows: `SSL_get_shutdown`.
///
/// libcurl brings libssl into the process, so its functions are looked up at run time and the build needs libcurl alone.
/// Where that fails, or the TLS library is another one, no end counts as a close_notify.
enum CloseNotify {
  /// Whether the peer of this handle has sent one; ask after `curl_easy_recv` has returned 0 bytes.
  static func wasReceived(on easy: UnsafeMutableRawPointer) -> Bool {
    var session: UnsafeMutablePointer<curl_tlssessioninfo>?
    guard let library, unsafe curl_easy_get_tls(easy, &session) == CURLE_OK,
      let session = unsafe session?.pointee, unsafe session.backend == CURLSSLBACKEND_OPENSSL,
      let ssl = unsafe session.internals
    else { return false }
    // With this option, which openssl.cnf can set from OpenSSL 3.2 on, a bare end looks like a close_notify.
    guard unsafe library.options(ssl) & ignoresUnexpectedEnd == 0 else { return false }
    return unsafe library.shutdown(ssl) & receivedShutdown != 0
  }

  /// SSL_RECEIVED_SHUTDOWN (<https://docs.openssl.org/3.0/man3/SSL_set_shutdown/>).
  private static let receivedShutdown: Int32 = 2
  /// SSL_OP_IGNORE_UNEXPECTED_EOF (<https://docs.openssl.org/3.0/man3/SSL_CTX_set_options/>).
  private static let ignoresUnexpectedEnd: UInt64 = 1 << 7

  @safe private struct Library {
    let shutdown: @convention(c) (UnsafeMutableRawPointer) -> Int32
    let options: @convention(c) (UnsafeMutableRawPointer) -> UInt64
  }

  private static let library: Library? = {
    guard let shutdown = unsafe dlsym(nil, "SSL_get_shutdown"), let options = unsafe dlsym(nil, "SSL_get_options")
    else { return nil }
    return unsafe Library(
      shutdown: unsafeBitCast(shutdown, to: (@convention(c) (UnsafeMutableRawPointer) -> Int32).self),
      options: unsafeBitCast(options, to: (@convention(c) (UnsafeMutableRawPointer) -> UInt64).self))
  }()
}
