import CLibcurl

/// Readies libcurl; once, before any thread uses it (<https://curl.se/libcurl/c/curl_global_init.html>).
package func startLibcurl() {
  let result = curl_global_init(Int(CURL_GLOBAL_DEFAULT))
  precondition(result == CURLE_OK, "libcurl does not start: \(result.rawValue)")
}
