import CLibcurl
import Glibc

/// Distinguishes the peer's close_notify from the end of the TCP connection without one.
///
/// An attacker on the path can forge the latter (RFC 9112 §9.8), but `curl_easy_recv` reports 0 bytes for both: libcurl
/// ignores SSL_ERROR_SYSCALL up to 8.14 (<https://github.com/curl/curl/pull/17531>), and its BIO does not report the
/// end to OpenSSL 3.0, so SSL_OP_IGNORE_UNEXPECTED_EOF makes no difference. `SSL_get_shutdown` distinguishes them.
///
/// libcurl loads libssl into the process, so its functions are looked up at run time and the build needs only libcurl.
/// If the lookup fails, or the TLS library is not OpenSSL, no end counts as a close_notify.
enum CloseNotify {
  /// Whether the peer of this handle has sent a close_notify. Valid once `curl_easy_recv` has returned 0 bytes.
  static func wasReceived(on easy: UnsafeMutableRawPointer) -> Bool {
    var session: UnsafeMutablePointer<curl_tlssessioninfo>?
    guard let library, unsafe curl_easy_get_tls(easy, &session) == CURLE_OK,
      let session = unsafe session?.pointee, unsafe session.backend == CURLSSLBACKEND_OPENSSL,
      let ssl = unsafe session.internals
    else { return false }
    // openssl.cnf can set this option from OpenSSL 3.2 on; it makes any end look like a close_notify.
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
