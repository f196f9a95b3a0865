/// What a loop keeps about tokens from one request to the next.
package struct TokenCaches: ~Copyable {
  /// Digests of tokens in policy files; has no part in any decision.
  package var digests = TokenDigests()
  package var signed = SignedTokens()
  package var introspected = IntrospectedTokens()

  package init() {}
}
