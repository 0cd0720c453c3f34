public import Crypto
internal import Glibc

/// Changing keys. A kill at any point leaves a store that opens, with the old master key before the one transaction that
/// changes it and with the new one after it; what was left to do is done the next time the store is opened.
extension Vault {
  /// From 1; one more with each rotation.
  public var masterKeyGeneration: Int64 { record.generation }

  /// Wraps the data keys under another master key, and seals every secret and token anew under a new data key, so that who had the
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
    // The key has changed, whatever becomes of the rest: that is done the next time the store is opened.
    try? finishRotation()
  }

  /// Seals what lies under older data keys anew under the newest, and destroys the older ones.
  func finishRotation() throws(VaultError) {
    guard let newest = newestDataKey, let key = dataKeys[newest], dataKeys.count > 1 else { return }
    while try sealAnew(below: newest, key) > 0 {}
    while try sealTokensAnew(below: newest, key) > 0 {}
    try forgetStates(below: newest)
    try change { () throws(VaultError) in
      try database.run("DELETE FROM data_key WHERE id < \(newest)")
    }
    dataKeys = [newest: key]
    try checkpoint()
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

/// A key file on its way to being replaced in place. While it exists no other process replaces that file.
public struct KeyReplacement: ~Copyable {
  private let path: String
  private let lock: KeyLock
  /// Of the next key, beside the file until the store has taken it.
  public var next: MasterKeySource { .file(path + ".new") }

  /// - Throws: `VaultError.keyLocked`.
  fileprivate init(of path: String) throws(VaultError) {
    self.path = path
    lock = try KeyLock(key: path)
  }

  /// Makes the next key, whole from the moment that it has its name, unless a rotation that was killed has left one.
  fileprivate func prepare() throws(VaultError) {
    do throws(VaultError) {
      _ = try next.load(credentialsDirectory: nil)
    } catch {
      // Whatever else is wrong with it: the store may have taken it, so it stays.
      guard error.code == .keyMissing else { throw error }
      let temporary = path + ".new.tmp"
      // The lock is ours: what lies here nobody has read.
      StoreFile.remove(temporary)
      try MasterKeySource.generateFile(temporary)
      StoreFile.copyOwner(of: path, to: temporary)
      try StoreFile.publish(temporary, as: path + ".new")
    }
  }

  /// The store has taken the next key: it takes the place of the one before, which stays beside it, named after its
  /// generation: backups from before want it.
  /// - Parameter generation: of the key that the store has taken.
  /// - Returns: where the key before is kept.
  @discardableResult
  public consuming func adopt(generation: Int64) throws(VaultError) -> String {
    let before = try keepAside(generation: generation - 1)
    // The key before has its second name for good when it loses its first.
    try SystemCall.syncDirectory(StoreFile.directory(of: path))
    guard unsafe rename(path + ".new", path) == 0 else { throw SystemCall.failure(path) }
    try SystemCall.syncDirectory(StoreFile.directory(of: path))
    return before
  }

  /// Gives the key in force a second name: one that is free, or that has this key already.
  private borrowing func keepAside(generation: Int64) throws(VaultError) -> String {
    let key = try MasterKeySource.read(path, .ownFile)
    var name = "\(path).\(generation)"
    var attempt = 1
    while unsafe link(path, name) != 0 {
      guard errno == EEXIST else { throw SystemCall.failure(name) }
      if let other = try? MasterKeySource.read(name, .ownFile), other == key { return name }
      // Another store's.
      attempt += 1
      name = "\(path).\(generation).\(attempt)"
    }
    return name
  }
}

extension MasterKeySource {
  /// Rotating in place: makes the next key, to lie beside a key file until the store has taken it. Nil if this is no file.
  /// - Throws: `VaultError.keyLocked` while another process rotates.
  public func prepareNext() throws(VaultError) -> KeyReplacement? {
    guard case .file(let path) = self else { return nil }
    let replacement = try KeyReplacement(of: path)
    try replacement.prepare()
    return replacement
  }
}

extension Vault {
  /// Opens the store with the key that `source` names. If a rotation in place was killed between the store and the key
  /// file, it is finished here.
  /// - Parameter credentialsDirectory: the value of `CREDENTIALS_DIRECTORY`, if it is set.
  public static func open(
    path: String, source: MasterKeySource, credentialsDirectory: String?
  ) throws(VaultError) -> Vault {
    try open(path: path, source: source, key: source.load(credentialsDirectory: credentialsDirectory))
  }

  /// The same with the key that was loaded from `source`: a pipe can be read only once.
  public static func open(path: String, source: MasterKeySource, key: MasterKey) throws(VaultError) -> Vault {
    do throws(VaultError) {
      return try Vault(path: path, key: key)
    } catch let refusal {
      guard refusal.code == .wrongKey, case .file(let file) = source, StoreFile.exists(file + ".new") else {
        throw refusal
      }
      let vault: Vault
      do throws(VaultError) {
        vault = try Vault(path: path, key: MasterKeySource.file(file + ".new").load(credentialsDirectory: nil))
      } catch {
        throw error.code == .wrongKey ? refusal : error
      }
      // Who may not rename it here can later: the store opens either way.
      if let replacement = try? KeyReplacement(of: file) {
        _ = try? replacement.adopt(generation: vault.masterKeyGeneration)
      }
      return vault
    }
  }
}
