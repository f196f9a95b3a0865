import CLibcurl

package enum LibcurlVersion {
  /// That of the headers at build time.
  package static let linked = LIBCURL_VERSION
  /// That of the library that this process has loaded.
  package static var running: String { unsafe String(cString: curl_version_info(CURLVERSION_FIRST).pointee.version) }
}
