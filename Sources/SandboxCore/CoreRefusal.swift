/// Core says no, in one of its two error shapes.
struct CoreRefusal: Error {
  enum Shape {
    /// `{"error", "error_detail"}`.
    case error
    /// `{"error", "error_detail"}` with an empty `details`, where Core shows what went wrong below; the stand-in has
    /// nothing below.
    case errorWithDetails
    /// `{"error_detail", "errors"}`.
    case validation
    /// `{"error"}` alone, as the documents show it.
    case documented
  }

  let status: Int
  let code: String
  let message: String
  let shape: Shape

  init(_ status: Int, _ code: String, _ message: String, shape: Shape = .error) {
    self.status = status
    self.code = code
    self.message = message
    self.shape = shape
  }

  var answer: SandboxResponse {
    switch shape {
    case .error:
      .json(status, ["error": .string(message), "error_detail": ["code": .string(code), "message": .string(message)]])
    case .errorWithDetails:
      .json(
        status,
        [
          "error": .string(message),
          "error_detail": ["code": .string(code), "message": .string(message), "details": [:]],
        ])
    case .validation:
      .json(
        status, ["error_detail": ["code": .string(code), "message": .string(message)], "errors": .string(message)])
    case .documented: .json(status, ["error": .string(message)])
    }
  }

  static func malformed(_ message: String) -> CoreRefusal { CoreRefusal(400, "GEN_MALFORMED_REQUEST", message) }

  static func documented(_ message: String) -> CoreRefusal { CoreRefusal(400, "", message, shape: .documented) }

  /// Several complaints about fields, in the fields' order, as ozzo-validation joins them.
  static func invalid(_ complaints: [(field: String, text: String)], code: String = "GEN_VALIDATION_ERROR")
    -> CoreRefusal
  {
    let sorted = complaints.sorted { $0.field < $1.field }
    let text = sorted.map { "\($0.field): \($0.text)" }.joined(separator: "; ") + "."
    return CoreRefusal(400, code, text, shape: .validation)
  }

  static func missing(_ kind: String, code: String, id: String) -> CoreRefusal {
    CoreRefusal(404, code, "\(kind) with ID '\(id)' not found", shape: .errorWithDetails)
  }
}
