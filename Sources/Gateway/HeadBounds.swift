import HTTP1
import Policies

extension HeadLimits {
  init(_ limits: GatewayLimits) {
    self.init(
      requestLineBytesMax: limits.requestLineBytesMax, headerBytesMax: limits.headerBytesMax,
      fieldsMax: limits.headerFieldsMax)
  }

  /// Bounds for the heads of Core's answers.
  static let answers = HeadLimits(requestLineBytesMax: 8 << 10, headerBytesMax: 64 << 10, fieldsMax: 200)
}
