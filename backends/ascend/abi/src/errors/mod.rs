//! What a code means. All layers return theirs through one number: ACL 1000xx to 5000xx, the runtime x07xxx,
//! the graph engine x45xxx, aclnn x61xxx.
//!
//! A number alone helps nobody: an error message should hold the name, the hint if there is one, and what
//! `aclGetRecentErrMsg` says.

mod hints;
mod names;

/// The code's name in C.
pub fn name(code: i32) -> Option<&'static str> {
    find(names::NAMES, code)
}

/// What the code usually comes from and what to try, for the codes that users meet.
pub fn hint(code: i32) -> Option<&'static str> {
    find(hints::HINTS, code)
}

fn find(table: &'static [(i32, &'static str)], code: i32) -> Option<&'static str> {
    let at = table.binary_search_by_key(&code, |(code, _)| *code).ok()?;
    table.get(at).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_unique() {
        for table in [names::NAMES, hints::HINTS] {
            let wrong = table.windows(2).find(|pair| pair[0].0 >= pair[1].0);
            assert_eq!(wrong, None);
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = names::NAMES.iter().map(|(_, name)| *name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn every_hint_is_of_a_known_code() {
        let unknown: Vec<i32> =
            hints::HINTS.iter().map(|(code, _)| *code).filter(|code| name(*code).is_none()).collect();
        assert_eq!(unknown, []);
    }

    #[test]
    fn each_layer_has_its_names() {
        assert_eq!(name(0), Some("ACL_SUCCESS"));
        assert_eq!(name(100_001), Some("ACL_ERROR_UNINITIALIZE"));
        assert_eq!(name(148_053), Some("ACL_ERROR_INVALID_BUNDLE_MODEL_ID"));
        assert_eq!(name(107_045), Some("ACL_ERROR_RT_SUB_ACLGRAPH_IS_CAPTURING"));
        assert_eq!(name(507_916), Some("ACL_ERROR_RT_CCU_EXCEPTION"));
        assert_eq!(name(545_602), Some("ACL_ERROR_GE_REDEPLOYING"));
        assert_eq!(name(561_119), Some("ACLNN_ERR_INNER_STATIC_BLOCK_DIM_INVALID"));
        // A gap in the runtime's numbers.
        assert_eq!(name(107_041), None);
        assert_eq!(name(-1), None);
    }

    #[test]
    fn codes_that_users_meet_have_a_hint() {
        for code in [
            100_001, 107_001, 107_002, 107_003, 148_049, 161_001, 161_002, 207_001, 207_018, 507_014,
            507_015, 507_033, 507_034, 507_035, 561_002, 561_003, 561_107, 561_112,
        ] {
            assert!(hint(code).is_some(), "{code}");
        }
        assert_eq!(hint(0), None);
    }
}
