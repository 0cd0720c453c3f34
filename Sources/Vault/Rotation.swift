public import Crypto
internal import Glibc

/// Changing keys. A kill at any point leaves a store that opens, with the old master key before the one transaction that
/// changes it and with the new one after it; what was left to do is done the next time the store is opened.
extension Vault {
  /// From 1; one more with each rotation.
  public var masterKeyGeneration: Int64 { record.generation }

  /// Wraps the data keys under another master key, and seals every secret anew under a new data key, so that who had the
  /// old master key and a copy of the store can open nothing that is written from now on.
  /// - Parameter now: seconds since 1970, UTC.
  public func rotateMasterKey(
    to key: MasterKey, now: Int64, cost: Scrypt.Cost = .standard
  ) throws(VaultError) {
    let before = (record, wrappingKey)
    let (record, wrappingKey) = try MasterKeyRecord.make(
      key, generation: record.generation + 1, store: uuid, cost: cost)
    do throws(VaultError) {
      try database.transaction { () throws(VaultError) in
        try record.write(to: database)
        for (id, dataKey) in dataKeys {
          try wrap(dataKey, id: id, under: wrappingKey, generation: record.generation)
        }
        (self.record, self.wrappingKey) = (record, wrappingKey)
        try addDataKey(now: now)
      }
    } catch {
      (self.record, self.wrappingKey) = before
      try? readDataKeys()
      throw error
    }
    try finishRotation()
  }

  /// Seals what lies under older data keys anew under the newest, and destroys the older ones.
  func finishRotation() throws(VaultError) {
    guard let newest = newestDataKey, let key = dataKeys[newest], dataKeys.count > 1 else { return }
    while try sealAnew(below: newest, key) > 0 {}
    try change { () throws(VaultError) in
      try database.run("DELETE FROM data_key WHERE id < \(newest)")
    }
    dataKeys = [newest: key]
    // The log still has the pages of before.
    try database.run("PRAGMA wal_checkpoint(TRUNCATE)")
  }

  /// One transaction's worth; returns how many secrets it was.
  private func sealAnew(below newest: Int64, _ key: Secret) throws(VaultError) -> Int {
    try change { () throws(VaultError) in
      var batch: [(id: Int64, name: String, version: Int64, value: Secret)] = []
      var row = try database.prepare(Vault.rows + " WHERE data_key < \(newest) LIMIT 64")
      while try row.step() {
        try batch.append((row.integer(0), row.text(1), row.integer(2), open(row)))
      }
      for secret in batch {
        try seal(secret.value, secret.name, id: secret.id, version: secret.version, newest, key)
      }
      return batch.count
    }
  }
}

extension MasterKeySource {
  /// Rotating in place: the next key lies beside a key file until the store has taken it. One that a rotation that was
  /// killed has left there is used again. Nil if this is no file.
  public func prepareNext() throws(VaultError) -> MasterKeySource? {
    guard case .file(let path) = self else { return nil }
    let next = MasterKeySource.file(path + ".new")
    do throws(VaultError) {
      _ = try next.load(credentialsDirectory: nil)
      return next
    } catch {
      switch error.code {
      case .keyMissing: break
      // Killed while it was written: no store has taken it.
      case .keyTruncated: StoreFile.remove(path + ".new")
      default: throw error
      }
    }
    try MasterKeySource.generateFile(path + ".new")
    StoreFile.copyOwner(of: path, to: path + ".new")
    return next
  }

  /// The store has taken the next key: it takes the place of the one before, which stays beside it, named after its
  /// generation: backups from before want it.
  /// - Parameter generation: of the key that the store has taken.
  /// - Returns: where the key before is kept.
  @discardableResult
  public func adoptNext(generation: Int64) throws(VaultError) -> String {
    guard case .file(let path) = self else { return "" }
    let before = "\(path).\(generation - 1)"
    guard unsafe link(path, before) == 0 || errno == EEXIST, unsafe rename(path + ".new", path) == 0 else {
      throw VaultError(.inputOutput, path, SystemCall.reason())
    }
    try SystemCall.syncDirectory(StoreFile.directory(of: path))
    return before
  }
}

extension Vault {
  /// Opens the store with the key that `source` names. If a rotation in place was killed between the store and the key
  /// file, it is finished here.
  /// - Parameter credentialsDirectory: the value of `CREDENTIALS_DIRECTORY`, if it is set.
  public static func open(
    path: String, source: MasterKeySource, credentialsDirectory: String?
  ) throws(VaultError) -> Vault {
    let key = try source.load(credentialsDirectory: credentialsDirectory)
    do throws(VaultError) {
      return try Vault(path: path, key: key)
    } catch {
      guard error.code == .wrongKey, case .file(let file) = source, StoreFile.exists(file + ".new"),
        let next = try? MasterKeySource.file(file + ".new").load(credentialsDirectory: nil),
        let vault = try? Vault(path: path, key: next)
      else { throw error }
      // Who may not rename it here can later: the store opens either way.
      _ = try? source.adoptNext(generation: vault.masterKeyGeneration)
      return vault
    }
  }
}
