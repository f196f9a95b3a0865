/// An error response of Core's, in one of its shapes.
struct CoreError: Error {
  enum Shape {
    /// `{"error", "error_detail"}`.
    case error
    /// `{"error", "error_detail"}` with an empty `details`. Core puts the underlying error there; the sandbox has none.
    case errorWithDetails
    /// `{"error_detail", "errors"}`.
    case validation
    /// `{"error"}` only, as in Blnk's documents.
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

  var response: SandboxResponse {
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

  static func malformed(_ message: String) -> CoreError { CoreError(400, "GEN_MALFORMED_REQUEST", message) }

  static func documented(_ message: String) -> CoreError { CoreError(400, "", message, shape: .documented) }

  /// Validation errors joined the way ozzo-validation does, in the order of the field names.
  static func invalid(_ fieldErrors: [(field: String, text: String)], code: String = "GEN_VALIDATION_ERROR")
    -> CoreError
  {
    let sorted = fieldErrors.sorted { $0.field < $1.field }
    let text = sorted.map { "\($0.field): \($0.text)" }.joined(separator: "; ") + "."
    return CoreError(400, code, text, shape: .validation)
  }

  static func missing(_ kind: String, code: String, id: String) -> CoreError {
    CoreError(404, code, "\(kind) with ID '\(id)' not found", shape: .errorWithDetails)
  }
}
