/// Whose word the stand-in takes where Core and its documents differ.
package enum CoreDialect: String, CaseIterable, Sendable {
  /// What Core v0.15 was seen to answer.
  case measured = "0.15"
  /// What the product's documents say: so far the refusals of the call that links a balance to an identity.
  case documented
}
