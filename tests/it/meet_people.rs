//! Looking up people: in batches, independent of each other and of watching.

use meetwatch::meet::{Answer, PersonQuery, Read, ReadSource, Reason};
use meetwatch::model::UserName;

use crate::meet_fake::{Bench, CONFERENCE, error, json, me};

fn users(ids: std::ops::Range<u32>) -> Vec<UserName> {
    ids.map(|id| UserName::parse(&format!("users/{id}")).unwrap()).collect()
}

fn answer(ids: std::ops::Range<u32>) -> String {
    let items: Vec<String> = ids
        .map(|id| match id % 3 {
            0 => format!(r#"{{"requestedResourceName":"people/{id}","status":{{"code":5,"message":"gone"}}}}"#),
            _ => format!(
                r#"{{"requestedResourceName":"people/{id}","person":{{"emailAddresses":[{{"value":"p{id}@example.com"}}]}}}}"#
            ),
        })
        .collect();
    format!(r#"{{"responses":[{}]}}"#, items.join(","))
}

#[tokio::test]
async fn people_are_looked_up_in_batches_and_one_who_is_not_found_fails_no_other() {
    let bench = Bench::new().await;
    bench.fake.will([json(200, &answer(0..200)), json(200, &answer(200..250))]);
    let reading = bench.read(Read::People(users(0..250))).await.unwrap();
    let Answer::People(people) = reading.answer else { panic!("another answer") };
    assert_eq!((people.len(), reading.requests), (166, 2));
    assert_eq!(people[0].email.as_deref(), Some("p1@example.com"));
    let asked = bench.fake.asked();
    assert_eq!(asked[0].path.matches("resourceNames=people%2F").count(), 200);
    assert_eq!(asked[1].path.matches("resourceNames=people%2F").count(), 50);
    assert!(asked[1].path.starts_with("/v1/people:batchGet?"));
    assert!(asked[1].path.ends_with(
        "&personFields=names%2CemailAddresses&sources=READ_SOURCE_TYPE_PROFILE&sources=READ_SOURCE_TYPE_CONTACT&sources=READ_SOURCE_TYPE_OTHER_CONTACT"
    ));
}

#[tokio::test]
async fn a_missing_people_scope_does_not_affect_watching() {
    let bench = Bench::new().await;
    bench.fake.will([
        json(200, CONFERENCE),
        error(403, "PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
        json(200, CONFERENCE),
    ]);
    bench.get().await.unwrap();
    let error = bench.read(Read::People(users(1..2))).await.unwrap_err();
    assert_eq!(error.reason, Reason::ScopeMissing);
    assert!(error.remedy.contains("contacts.readonly"));
    assert_eq!(bench.status.read().identities["me"].up, Some(true));
    bench.get().await.unwrap();
}

#[tokio::test]
async fn one_person_can_be_requested_with_every_parameter() {
    let bench = Bench::new().await;
    bench.fake.will([json(200, r#"{"resourceName":"people/1","names":[{"displayName":"Ada"}]}"#)]);
    let user = UserName::parse("users/1").unwrap();
    let query = PersonQuery { fields: "names", sources: &[ReadSource::DomainContact] };
    let person = bench.client.get_person(&me(), &user, query).await.unwrap();
    assert_eq!(person.display_name.as_deref(), Some("Ada"));
    assert_eq!(bench.fake.asked()[0].path, "/v1/people/1?personFields=names&sources=READ_SOURCE_TYPE_DOMAIN_CONTACT");
}
