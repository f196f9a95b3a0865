package import HTTP1

extension Policy {
  /// Repeats admission under this policy for a request that an older policy admitted. The request continues if it is
  /// admitted again for the same client and to the same instance.
  ///
  /// Returns when the token expires under this policy. Never changes where an exchange goes. Asks no introspection
  /// endpoint: the caller holds the answer that admitted the request in `caches`, and it is judged again; if the policy
  /// has another provider for the token by now, the request is rejected.
  ///
  /// - Parameters:
  ///   - head: the admitted head, with its `bytes`.
  ///   - admission: the older policy's decision.
  ///   - older: the policy that the indices in `admission` refer to.
  package func readmit(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, from caller: Caller, at now: UnixSeconds,
    _ caches: inout TokenCaches, sameAs admission: Admission, by older: Policy
  ) throws(Rejection) -> UnixSeconds? {
    var trace = AdmissionTrace()
    switch try admit(head, bytes, from: caller, at: now, &caches, noting: &trace) {
    case .admitted(let current):
      let (client, formerClient) = (Int(current.clientIndex), Int(admission.clientIndex))
      guard clients.id(of: client) == older.clients.id(of: formerClient) else { throw .tokenUnknown }
      let (instance, formerInstance) = (Int(current.instanceIndex), Int(admission.instanceIndex))
      guard instances[instance].id == older.instances[formerInstance].id else { throw .instanceForbidden }
      // A request admitted as a read has no audit intent and may be retried, so it must not become a write.
      guard admission.isWrite || !current.isWrite else { throw .auditUnavailable }
      return current.principal.expiry
    case .pending: throw .introspectionUnavailable
    }
  }
}
