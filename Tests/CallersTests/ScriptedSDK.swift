import Foundation
import TestSupport

/// A client that calls like Blnk's SDKs: base URL, a slash and a path; the key as `X-Blnk-Key` only.
struct ScriptedSDK {
  enum Language: CaseIterable {
    case go, typeScript

    /// Go's `url.URL` keeps `@` in a path, `encodeURIComponent` escapes it.
    var world: String {
      switch self {
      case .go: "@World"
      case .typeScript: "%40World"
      }
    }

    var userAgent: String {
      switch self {
      case .go: "Go-http-client/1.1"
      case .typeScript: "node"
      }
    }
  }

  /// How an SDK reports a response with an error status.
  struct Failure: Error, Equatable {
    let status: Int
    let code: String
    let message: String
  }

  let language: Language
  /// With or without a path prefix, without a query.
  let baseURL: String
  let key: String

  /// - Parameter path: without a leading slash.
  func call(_ method: String, _ path: String, _ body: String? = nil) throws -> [String: Any] {
    let answer = try send(method, path, body)
    let value = try JSONSerialization.jsonObject(with: Data(answer.body), options: .fragmentsAllowed)
    guard (200..<300).contains(answer.status) else { throw failure(answer.status, value as? [String: Any] ?? [:]) }
    return value as? [String: Any] ?? ["list": value]
  }

  /// `error_detail.code` and `.message`, else `error`.
  private func failure(_ status: Int, _ object: [String: Any]) -> Failure {
    let detail = object["error_detail"] as? [String: Any] ?? [:]
    return Failure(
      status: status, code: detail["code"] as? String ?? "",
      message: detail["message"] as? String ?? object["error"] as? String ?? "")
  }

  struct NoAnswer: Error {
    let url: String
  }

  private func send(_ method: String, _ path: String, _ body: String?) throws -> TestMessage {
    let url = baseURL + "/" + path
    let rest = url.dropFirst("http://127.0.0.1:".count)
    let slash = rest.firstIndex(of: "/") ?? rest.endIndex
    guard let port = UInt16(rest[..<slash]) else { throw NoAnswer(url: url) }
    let fields = [
      "User-Agent: \(language.userAgent)", "X-Blnk-Key: \(key)", "Content-Type: application/json",
      "Accept-Encoding: gzip", "Connection: close",
    ]
    let socket = try TestSocket(port: port)
    try socket.send(testRequest(method, String(rest[slash...]), fields: fields, body: body, token: nil))
    var reader = TestMessageReader(socket)
    guard let answer = try reader.next() else { throw NoAnswer(url: url) }
    return answer
  }
}
