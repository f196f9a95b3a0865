package import HTTP1

extension Policy {
  /// Decides anew, by this policy, about a request that an older one admitted: it goes on if it would be admitted now, for
  /// the same client and to the same instance.
  ///
  /// Returns when the token expires by this policy. It only refuses, and never changes where an exchange goes. A token that only an introspection endpoint can judge is
  /// refused. Does not allocate.
  ///
  /// - Parameters:
  ///   - head: as it was admitted, with its `bytes`.
  ///   - admission: what the older policy decided.
  ///   - older: the policy whose indices `admission` has.
  package func readmit(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, from peer: PeerAddress, at now: UnixSeconds,
    _ digests: inout TokenDigests, sameAs admission: Admission, by older: Policy
  ) throws(Rejection) -> UnixSeconds? {
    var trace = AdmissionTrace()
    switch try admit(head, bytes, from: peer, at: now, &digests, noting: &trace) {
    case .admitted(let present):
      let (client, formerClient) = (Int(present.clientIndex), Int(admission.clientIndex))
      guard clients.id(of: client) == older.clients.id(of: formerClient) else { throw .tokenUnknown }
      let (instance, formerInstance) = (Int(present.instanceIndex), Int(admission.instanceIndex))
      guard instances[instance].id == older.instances[formerInstance].id else { throw .instanceForbidden }
      // What was admitted as a read has no intent, and may be repeated.
      guard admission.isWrite || !present.isWrite else { throw .auditUnavailable }
      return present.principal.expiry
    case .pending: throw .tokenUnknown
    }
  }
}
