//! The migrations that this binary holds. Forward-only: a file that was released never
//! changes, and a new one gets the next number and sets it in `countersign.authority`.

use refinery::Migration;

/// One migration.
#[derive(Debug, PartialEq, Eq)]
pub struct MigrationFile {
    /// Its number; the schema's version once it is applied.
    pub version: i32,
    /// What it makes, as in its file's name.
    pub name: &'static str,
    /// Its text: several statements, applied in one transaction.
    pub sql: &'static str,
}

/// All migrations, in order.
pub static FILES: [MigrationFile; 5] = [
    MigrationFile {
        version: 1,
        name: "documented_tables",
        sql: include_str!("../../../sql/migrations/0001_documented_tables.sql"),
    },
    MigrationFile {
        version: 2,
        name: "countersign",
        sql: include_str!("../../../sql/migrations/0002_countersign.sql"),
    },
    MigrationFile {
        version: 3,
        name: "identities",
        sql: include_str!("../../../sql/migrations/0003_identities.sql"),
    },
    MigrationFile {
        version: 4,
        name: "dpop",
        sql: include_str!("../../../sql/migrations/0004_dpop.sql"),
    },
    MigrationFile {
        version: 5,
        name: "replicas",
        sql: include_str!("../../../sql/migrations/0005_replicas.sql"),
    },
];

/// The migration that makes the documented tables; it may be applied again at any time.
pub fn first() -> &'static MigrationFile {
    &FILES[0]
}

/// The schema version that this binary is made for.
pub fn newest_version() -> i32 {
    FILES[FILES.len() - 1].version
}

impl MigrationFile {
    /// Number and name, as the file is called.
    pub fn title(&self) -> String {
        format!("{:04}_{}", self.version, self.name)
    }

    /// The same for refinery.
    pub(super) fn migration(&self) -> Result<Migration, refinery::Error> {
        Migration::unapplied(&format!("V{}__{}", self.version, self.name), self.sql)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_migration_sets_its_own_number() {
        let newest = &FILES[FILES.len() - 1];
        let inserted = format!(
            "countersign.authority (schema_version, lowest_binary) VALUES ({}, ",
            newest.version
        );
        let updated = format!(
            "countersign.authority SET schema_version = {}",
            newest.version
        );
        assert!(
            newest.sql.contains(&inserted) || newest.sql.contains(&updated),
            "{} must set countersign.authority.schema_version",
            newest.title()
        );
    }

    #[test]
    fn migrations_are_numbered_without_a_gap_and_every_file_is_listed() {
        let mut titles: Vec<String> =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/migrations"))
                .expect("the folder of migrations")
                .map(|entry| {
                    entry
                        .expect("an entry")
                        .file_name()
                        .into_string()
                        .expect("text")
                })
                .collect();
        titles.sort();
        let listed: Vec<String> = FILES.iter().map(|file| file.title() + ".sql").collect();
        assert_eq!(titles, listed);
        for (file, expected) in FILES.iter().zip(1..) {
            assert_eq!(file.version, expected);
        }
    }
}
