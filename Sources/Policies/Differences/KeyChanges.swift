extension Policy {
  /// The ids of instances that were there before, and whose Core's key or certificates are others now.
  ///
  /// A file of the folder says only where a key is: that another one is there, no other comparison shows.
  package func instancesWithOtherKeys(than old: Policy) -> [String] {
    let before = Dictionary(old.instances.map { ($0.id.text, $0) }, uniquingKeysWith: { first, _ in first })
    return instances.compactMap { instance in
      guard let old = before[instance.id.text], old.keys != instance.keys || old.tls != instance.tls else { return nil }
      return instance.id.text
    }
  }
}
