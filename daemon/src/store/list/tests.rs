//! Lists of names, what pages are read along, and pages one after the other.

use super::super::Store;
use super::*;

fn plan(store: &Store, query: &Query, run: Run) -> String {
    store
        .read(|connection| {
            let mut conditions = conditions(query);
            let sql = run_sql(run, query.after.as_ref(), &mut conditions);
            conditions.values.push(Value::Integer(50));
            let lines: Vec<String> = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?
                .query_map(params_from_iter(&conditions.values), |row| row.get(3))?
                .collect::<rusqlite::Result<_>>()?;
            Ok(lines.join("\n"))
        })
        .unwrap()
}

#[test]
fn lists_of_names_are_read_as_json() {
    for names in [
        &[][..],
        &[""],
        &["plain"],
        &["two words", "Größe", "["],
        &["a\",\"b", "back\\slash"],
        &[",", "\n\t", "\u{1f}"],
    ] {
        assert_eq!(list_of(&serde_json::to_string(names).unwrap()), names);
    }
    assert!(list_of("no list").is_empty());
}

#[test]
fn pages_walk_an_index_and_never_sort() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&folder.path().join("cache.db"), true).unwrap();
    let indexes = [
        (Sort::Name, Run::Name, "artifact_name"),
        (Sort::Updated, Run::Updated, "artifact_updated"),
        (Sort::Size, Run::Size, "artifact_size"),
        (Sort::Position, Run::Placed, "artifact_position"),
        (Sort::Position, Run::Unplaced, "artifact_name"),
    ];
    for (sort, run, index) in indexes {
        for collection in [None, Some(1)] {
            for after in [false, true] {
                let after = after.then(|| Cursor {
                    sort,
                    name: "a".to_owned(),
                    kind: "skill".to_owned(),
                    number: Some(5),
                    id: 5,
                });
                let query = Query {
                    collection,
                    sort,
                    after,
                    limit: 50,
                    ..Query::default()
                };
                let plan = plan(&store, &query, run);
                let index = match collection {
                    Some(_) => format!("{index} "),
                    None => format!("{index}_anywhere"),
                };
                let first = plan.lines().next().unwrap();
                assert!(
                    format!("{first} ").contains(&index),
                    "{run:?} {collection:?}: {plan}"
                );
                assert!(!first.contains("TEMP B-TREE"), "{plan}");
                let members = "group_member_name (collection_id=? AND name=?)";
                assert!(plan.contains(members), "{plan}");
                assert!(
                    !plan.contains("USE TEMP B-TREE FOR ORDER BY\nSEARCH a"),
                    "{plan}"
                );
            }
        }
    }
}

#[test]
fn pages_in_order_of_position_are_the_whole_list() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&folder.path().join("cache.db"), true).unwrap();
    store
        .write(|transaction| {
            transaction.execute_batch(
                "INSERT INTO collection VALUES (1, 'default', '/nowhere', 0, 'ok', NULL, NULL, x'00', '{}', '[]', '[]');",
            )?;
            let positions = [None, Some(3), Some(i64::MAX), None, Some(-2), Some(3), Some(i64::MIN), None];
            for (at, position) in positions.iter().enumerate() {
                transaction.execute(
                    "INSERT INTO artifact VALUES (NULL, 1, 'skill', ?1, ?1, 'managed', 'local', NULL, NULL, NULL, NULL,
                     NULL, '[]', '[]', '[]', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 'strict', 0, 0, 0,
                     x'00', 0, 0, x'00', x'00', 0, 0, ?2)",
                    rusqlite::params![format!("s{at}"), position],
                )?;
            }
            Ok(())
        })
        .unwrap();
    let whole = ["s6", "s4", "s1", "s5", "s2", "s0", "s3", "s7"];
    for collection in [None, Some(1)] {
        for limit in 1..=9 {
            let mut query = Query {
                collection,
                sort: Sort::Position,
                limit,
                ..Query::default()
            };
            let mut names = Vec::new();
            loop {
                let (rows, after) = store.read(|connection| page(connection, &query)).unwrap();
                assert!(rows.len() <= limit as usize);
                names.extend(rows.into_iter().map(|row| row.name));
                query.after = after;
                if query.after.is_none() {
                    break;
                }
            }
            assert_eq!(names, whole, "{limit}");
        }
    }
}
